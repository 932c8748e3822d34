//! The account of the caller.

mod auth;
mod doctor;
mod groups;
mod password;
mod redis;
mod sessions;
mod tokens;

use crate::api::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(auth::routes())
        .merge(doctor::routes())
        .merge(redis::routes())
        .merge(tokens::routes())
        .merge(groups::routes())
        .merge(password::routes())
        .merge(sessions::routes())
        .tag("accounts")
}
