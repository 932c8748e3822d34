//! `GET /v1/web/session`: who is logged in.

use axum::Json;
use mitosis_domain::account::User;
use mitosis_protocol::auth::WebSession;
use mitosis_protocol::tokens::TokenScope;

use crate::api::routes::{Access, Routes};
use crate::auth::revalidation::AuthenticatedCaller;

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/web/session", Access::Read, session, "Get the user and the rights of the caller")
}

async fn session(AuthenticatedCaller(user, authentication): AuthenticatedCaller) -> Json<WebSession> {
    Json(describe(user, authentication.scope()))
}

pub(super) fn describe(user: User, scope: Option<TokenScope>) -> WebSession {
    WebSession { username: user.name, admin: user.admin, scope }
}
