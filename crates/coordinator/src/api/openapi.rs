//! `GET /openapi.json`: the API described by itself, and `GET /docs`: a page to read it on, which needs
//! nothing from elsewhere.

mod describe;
mod operations;

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse};
use http::header::CONTENT_TYPE;

use super::routes::{Asks, Routes};

/// The description as JSON, made once.
static DESCRIPTION: LazyLock<String> =
    LazyLock::new(|| operations::all().to_pretty_json().expect("a description is plain data"));

pub(super) fn routes() -> Routes {
    Routes::new().get("/openapi.json", Asks::Nothing, description).get("/docs", Asks::Nothing, page)
}

async fn description() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION.as_str())
}

async fn page() -> Html<&'static str> {
    Html(include_str!("openapi/page.html"))
}
