//! The web page: its files, and its sessions.

mod login;
mod login_codes;
mod logout;
mod page;
mod session;

use axum::extract::DefaultBodyLimit;

use super::public::login::MAX_BODY;
use super::routes::Routes;

pub(super) fn routes() -> Routes {
    let sessions = Routes::new()
        .merge(login::routes())
        .merge(logout::routes())
        .merge(session::routes())
        .merge(login_codes::routes());
    page::routes().merge(sessions.limit(DefaultBodyLimit::max(MAX_BODY)).tag("web page"))
}
