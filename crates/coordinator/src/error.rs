//! Refusals and failures on their way to the caller. The one place that knows status codes.
//!
//! The caller gets a sentence, a stable code and a hint; the log gets the whole chain of causes.

use std::error::Error;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use mitosis_objects::ObjectError;
use mitosis_protocol::{ErrorBody, ErrorCode};
use mitosis_store::Fault;

/// Why a request is not answered with a success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The caller asked for something that can't be had.
    #[error("{0}")]
    Refused(Refusal),
    /// The database did not do its work.
    #[error("the database did not do its work")]
    Store(#[from] Fault),
    /// The same, in an operation that served many callers.
    #[error("the database did not do its work")]
    Shared(#[from] Arc<Fault>),
    /// The object store did not do its work.
    #[error("the object store did not do its work")]
    Objects(#[from] ObjectError),
}

/// What the caller is told about a request that can't be granted.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: ErrorCode,
    msg: String,
    hint: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.msg)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), hint: None }
    }

    /// Adds what the caller can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whatever a check of the input says; its text is the sentence.
    pub(crate) fn invalid(why: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidRequest, why.to_string())
    }

    pub(crate) fn no_such(what: &str, name: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no {what} `{name}`"))
    }

    pub(crate) fn forbidden(msg: impl Into<String>) -> Self {
        Self::new(ErrorCode::Forbidden, msg)
    }

    pub(crate) fn into_body(self) -> ErrorBody {
        ErrorBody { msg: self.msg, code: Some(self.code), hint: self.hint, request_id: None }
    }
}

/// The status of each code.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidRequest | ErrorCode::MissingToken => StatusCode::BAD_REQUEST,
        ErrorCode::InvalidToken | ErrorCode::WrongCredentials => StatusCode::UNAUTHORIZED,
        ErrorCode::AccountNotActive | ErrorCode::Forbidden | ErrorCode::QuotaExceeded => {
            StatusCode::FORBIDDEN
        }
        ErrorCode::NotFound | ErrorCode::NoSuchRoute | ErrorCode::LeaseLost => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::NameTaken | ErrorCode::KeyReused => StatusCode::CONFLICT,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::WrongShape => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ApiError {
    /// What the caller sees. Nothing of the machinery shows.
    fn refusal(self) -> Refusal {
        let busy = |what| {
            Refusal::new(ErrorCode::Unavailable, format!("{what} can't be reached"))
                .hint("nothing was changed; try again in a moment")
        };
        match self {
            Self::Refused(refusal) => refusal,
            Self::Store(Fault::CommitUnknown(_)) => Refusal::new(
                ErrorCode::Unavailable,
                "the connection to the database broke at the last moment",
            )
            .hint("the change may or may not stand; look before you try again"),
            Self::Store(fault) if fault.is_transient() => busy("the database"),
            Self::Shared(fault) if fault.is_transient() => busy("the database"),
            Self::Store(Fault::Nul(_)) => Refusal::invalid("a text holds a NUL character"),
            Self::Objects(ObjectError::Unreachable { .. }) => busy("the object store"),
            Self::Objects(ObjectError::NotFound(_)) => {
                Refusal::new(ErrorCode::NotFound, "the stored object is gone")
            }
            Self::Store(_) | Self::Shared(_) | Self::Objects(_) => {
                Refusal::new(ErrorCode::Internal, "the coordinator failed to do this")
                    .hint("its log has the cause, under the request_id")
            }
        }
    }
}

impl IntoResponse for ApiError {
    /// Leaves the body to [`crate::api::finish`], which knows the id of the request.
    fn into_response(self) -> Response {
        if !matches!(self, Self::Refused(_) | Self::Store(Fault::Nul(_))) {
            tracing::error!(cause = chain(&self), "a request failed");
        }
        let refusal = self.refusal();
        let mut response = status(refusal.code).into_response();
        response.extensions_mut().insert(refusal.into_body());
        response
    }
}

/// The causes of an error, outermost first, joined by colons.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
