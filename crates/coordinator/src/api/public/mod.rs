//! Routes without authentication.

mod health;
pub(crate) mod login;

use axum::extract::DefaultBodyLimit;

use super::routes::Routes;

pub(super) fn routes() -> Routes {
    let login = login::routes().limit(DefaultBodyLimit::max(login::MAX_BODY));
    health::routes().merge(login).tag("accounts")
}
