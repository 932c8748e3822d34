//! Routes that ask for no token.

mod health;
pub(crate) mod login;

use axum::extract::DefaultBodyLimit;

use super::routes::{Asks, Routes};

pub(super) fn routes() -> Routes {
    let login = Routes::new()
        .post("/login", Asks::Nothing, login::login)
        .limit(DefaultBodyLimit::max(login::MAX_BODY));
    Routes::new().get("/health", Asks::Nothing, health::health).merge(login)
}
