//! Successful replies without content (HTTP contract §1): status 200, in one of two forms.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

/// A reply without a body and a content type.
pub(crate) struct Empty;

/// A reply with the JSON literal `null`.
pub(crate) struct Null;

/// JSON, or the literal `null`.
pub(crate) struct OrNull<T>(pub(crate) Option<T>);

impl IntoResponse for Empty {
    fn into_response(self) -> Response {
        StatusCode::OK.into_response()
    }
}

impl IntoResponse for Null {
    fn into_response(self) -> Response {
        axum::Json(()).into_response()
    }
}

impl<T: Serialize> IntoResponse for OrNull<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}
