//! `GET /`: the web page, and `GET /assets/{file}`: its scripts and styles.

use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;

use crate::api::routes::{Access, Routes};
use crate::web;

pub(super) fn routes() -> Routes {
    Routes::new().undescribed("GET", "/", Access::Public, get(page)).undescribed(
        "GET",
        "/assets/{file}",
        Access::Public,
        get(asset),
    )
}

async fn page(headers: HeaderMap) -> Response {
    web::index(&headers)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    web::asset(&name, &headers)
}
