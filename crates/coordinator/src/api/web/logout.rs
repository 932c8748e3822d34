//! `POST /v1/web/logout`: removes the cookie of the page.

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::header::SET_COOKIE;

use crate::api::base_url::BaseUrl;
use crate::api::openapi::signature::{Reply, Signature};
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::page_session::{SameOrigin, remove_cookie};

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/web/logout", Access::Public, logout, "Remove the cookie of the web page")
}

/// The session itself stays: other programs of the user may use it. `DELETE /v1/sessions` ends it.
async fn logout(State(app): State<App>, SameOrigin: SameOrigin, base: BaseUrl) -> LoggedOut {
    LoggedOut(AppendHeaders([(SET_COOKIE, remove_cookie(&app, &base))]).into_response())
}

struct LoggedOut(Response);

impl IntoResponse for LoggedOut {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Reply for LoggedOut {
    fn describe(signature: &mut Signature) {
        <Empty as Reply>::describe(signature);
    }
}
