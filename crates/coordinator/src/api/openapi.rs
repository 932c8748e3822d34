//! `GET /openapi.json`: the API described by itself, and `GET /docs`: a page to read it on, which needs
//! nothing from elsewhere.

mod describe;
mod operations;

use std::sync::LazyLock;

use axum::Router;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use http::header::CONTENT_TYPE;

use crate::app::App;

/// The description as JSON, made once.
static DESCRIPTION: LazyLock<String> =
    LazyLock::new(|| operations::all().to_pretty_json().expect("a description is plain data"));

pub(super) fn routes() -> Router<App> {
    Router::new().route("/openapi.json", get(description)).route("/docs", get(page))
}

async fn description() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION.as_str())
}

async fn page() -> Html<&'static str> {
    Html(include_str!("openapi/page.html"))
}
