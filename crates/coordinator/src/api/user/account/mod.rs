//! The caller's own account.

mod auth;
mod doctor;
mod groups;
mod password;
mod redis;
mod tokens;

use crate::api::routes::Asks::{Look, Password};
use crate::api::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/auth", Look, auth::auth)
        .get("/v1/doctor", Look, doctor::doctor)
        .get("/redis", Look, redis::redis)
        .post("/v1/tokens", Password, tokens::create)
        .get("/v1/tokens", Password, tokens::list)
        .delete("/v1/tokens/{id}", Password, tokens::revoke)
        .get("/users/groups", Look, groups::groups)
        .post("/users/{username}/password", Password, password::password)
}
