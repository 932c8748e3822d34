//! Reading requests: JSON bodies, path and query arguments, each refused in the same form.

use std::error::Error;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::StatusCode;
use http::request::Parts;
use mitosis_protocol::ErrorCode;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::connections::TooMuchAtOnce;
use crate::error::{ApiError, Refusal};

/// A JSON body of the right shape. Fields that nobody knows are ignored.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        match Json::from_request(request, app).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(refuse_body(&rejection).into()),
        }
    }
}

fn refuse_body(rejection: &JsonRejection) -> Refusal {
    if is_for_want_of_memory(rejection) {
        return Refusal::new(ErrorCode::Unavailable, TooMuchAtOnce.to_string())
            .hint("nothing was changed; try again in some seconds, or send fewer tasks at a time");
    }
    let text = rejection.body_text();
    match rejection.status() {
        StatusCode::UNPROCESSABLE_ENTITY => Refusal::new(ErrorCode::WrongShape, text),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Refusal::new(ErrorCode::NotJson, "the body is not declared as JSON")
                .hint("send `Content-Type: application/json`")
        }
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(ErrorCode::TooLarge, "the body is over the limit")
            .hint("send large inputs as attachments, and many tasks in batches of POST /tasks/submit"),
        _ => Refusal::invalid(text),
    }
}

fn is_for_want_of_memory(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<TooMuchAtOnce>() {
            return true;
        }
        next = cause.source();
    }
    false
}

/// The values of a key that may come several times after the question mark.
pub(crate) fn repeated(query: Option<&str>, key: &str) -> Vec<String> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .filter(|(name, _)| name == key)
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// Arguments in the path.
pub(crate) struct InPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for InPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let refuse = |rejection: PathRejection| Refusal::invalid(rejection.body_text());
        Ok(Self(Path::from_request_parts(parts, app).await.map_err(refuse)?.0))
    }
}

/// Arguments after the question mark. Those that nobody knows are ignored.
pub(crate) struct InQuery<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for InQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let refuse = |rejection: QueryRejection| Refusal::invalid(rejection.body_text());
        Ok(Self(Query::from_request_parts(parts, app).await.map_err(refuse)?.0))
    }
}
