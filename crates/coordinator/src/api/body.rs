//! Extractors of JSON bodies, path parameters and query parameters. All reject invalid input in the same format.

use std::error::Error;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::StatusCode;
use http::request::Parts;
use mitosis_protocol::ErrorCode;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::connections::BodyMemoryExceeded;
use crate::error::{ApiError, Rejection};

/// A JSON body of a valid form. Unknown fields are ignored.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        match Json::from_request(request, app).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(reject_body(&rejection).into()),
        }
    }
}

fn reject_body(rejection: &JsonRejection) -> Rejection {
    if is_out_of_memory(rejection) {
        return Rejection::new(ErrorCode::Unavailable, BodyMemoryExceeded.to_string())
            .hint("nothing was changed; try again in a few seconds, or send fewer tasks at once");
    }
    let text = rejection.body_text();
    match rejection.status() {
        StatusCode::UNPROCESSABLE_ENTITY => Rejection::new(ErrorCode::WrongShape, text),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Rejection::new(ErrorCode::NotJson, "the Content-Type is not JSON")
                .hint("send `Content-Type: application/json`")
        }
        StatusCode::PAYLOAD_TOO_LARGE => Rejection::new(ErrorCode::TooLarge, "the body is too large")
            .hint("upload large inputs as attachments, and submit many tasks in several requests"),
        _ => Rejection::invalid(text),
    }
}

fn is_out_of_memory(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<BodyMemoryExceeded>() {
            return true;
        }
        next = cause.source();
    }
    false
}

/// The values of a query parameter that may be repeated.
pub(crate) fn repeated(query: Option<&str>, key: &str) -> Vec<String> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .filter(|(name, _)| name == key)
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// Parameters in the path.
pub(crate) struct InPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for InPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let refuse = |rejection: PathRejection| Rejection::invalid(rejection.body_text());
        Ok(Self(Path::from_request_parts(parts, app).await.map_err(refuse)?.0))
    }
}

/// Query parameters. Unknown ones are ignored.
pub(crate) struct InQuery<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for InQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let refuse = |rejection: QueryRejection| Rejection::invalid(rejection.body_text());
        Ok(Self(Query::from_request_parts(parts, app).await.map_err(refuse)?.0))
    }
}
