//! Errors of requests, and their conversion to responses. The only place that knows status codes.
//!
//! The caller gets a message, a stable code and a hint; the log gets the whole chain of causes.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use mitosis_domain::name::InvalidName;
use mitosis_objects::ObjectError;
use mitosis_protocol::{ErrorBody, ErrorCode};
use mitosis_store::StoreError;

use crate::failure_log::{Failure, FailureKind};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The request is rejected because of the caller.
    #[error("{0}")]
    Rejected(Rejection),
    /// The database failed.
    #[error("database error")]
    Store(#[from] StoreError),
    /// The database failed in an operation for several callers.
    #[error("database error")]
    Shared(#[from] Arc<StoreError>),
    /// The object store failed.
    #[error("object store error")]
    Objects(#[from] ObjectError),
}

/// A rejected request, as the caller sees it.
#[derive(Debug)]
pub(crate) struct Rejection {
    code: ErrorCode,
    /// The status, if the contract requires another one than that of the code.
    status: Option<StatusCode>,
    msg: String,
    /// Never empty: the code provides a default.
    hint: Cow<'static, str>,
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.msg)
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl Rejection {
    /// A rejection with the general hint for the code.
    pub(crate) fn new(code: ErrorCode, msg: impl Into<String>) -> Self {
        Self { code, status: None, msg: msg.into(), hint: code.usual_hint().into() }
    }

    /// A missing object, on a route that must reply with another status (HTTP contract §2). The code stays `not_found`.
    pub(crate) fn not_found_as(status: StatusCode, msg: impl Into<String>) -> Self {
        Self { status: Some(status), ..Self::new(ErrorCode::NotFound, msg) }
    }

    /// Replaces the hint.
    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Invalid input; the text of the error becomes the message.
    pub(crate) fn invalid(why: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidRequest, why.to_string())
    }

    /// An invalid name of a user or group.
    pub(crate) fn bad_name(error: InvalidName) -> Self {
        Self::invalid(error).hint("choose a name such as `vision-lab`")
    }

    /// A list that must not be empty.
    pub(crate) fn empty_list(of: &str) -> Self {
        Self::invalid(format!("the list of {of} is empty")).hint("at least one is required")
    }

    pub(crate) fn no_such(what: ResourceKind, name: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no {} `{name}`", what.word())).hint(what.hint())
    }

    /// Prefixes the message with the item of the request that it is about.
    pub(crate) fn about(mut self, item: impl std::fmt::Display) -> Self {
        self.msg = format!("{item}: {}", self.msg);
        self
    }

    pub(crate) fn forbidden(msg: impl Into<String>) -> Self {
        Self::new(ErrorCode::Forbidden, msg)
    }

    pub(crate) fn into_body(self) -> ErrorBody {
        ErrorBody {
            msg: self.msg,
            code: Some(self.code),
            hint: Some(self.hint.into_owned()),
            request_id: None,
        }
    }
}

/// A kind of object that a request refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    User,
    Group,
    Job,
    Schedule,
    Task,
    Attachment,
    Worker,
    Token,
    Limit,
    Secret,
}

impl ResourceKind {
    const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Job => "job",
            Self::Schedule => "schedule",
            Self::Task => "task",
            Self::Attachment => "attachment",
            Self::Worker => "worker",
            Self::Token => "token",
            Self::Limit => "limit",
            Self::Secret => "secret",
        }
    }

    /// How to list the existing ones.
    const fn hint(self) -> &'static str {
        match self {
            Self::User => "check the spelling; administrators create accounts",
            Self::Group => {
                "`mito client users groups` lists your groups; `mito client groups create` creates one"
            }
            Self::Job => "`mito ls` lists the jobs of your groups; old jobs may have been deleted",
            Self::Schedule => "`mito schedule ls` lists the schedules of your groups",
            Self::Task => {
                "`mito client tasks query` lists the tasks of your group; old tasks may have been deleted"
            }
            Self::Attachment => {
                "`mito client groups attachments query` lists the attachments of your group; use -g for another group"
            }
            Self::Worker => {
                "`mito client workers query` lists the workers of your group; the worker may have stopped"
            }
            Self::Token => "`mito client tokens list` lists your tokens",
            Self::Limit => "`mito limits list` lists the limits of a group",
            Self::Secret => "`mito secrets ls` lists the secrets of a group",
        }
    }
}

/// The status of each code.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidRequest | ErrorCode::MissingToken => StatusCode::BAD_REQUEST,
        ErrorCode::InvalidToken
        | ErrorCode::TokenExpired
        | ErrorCode::WorkerUnknown
        | ErrorCode::WorkerExpired
        | ErrorCode::WorkerRemoved
        | ErrorCode::WrongCredentials => StatusCode::UNAUTHORIZED,
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
    /// Whether the database is unavailable, so that the same request may succeed later.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Shared(error) => error.is_transient(),
            Self::Rejected(_) | Self::Objects(_) => false,
        }
    }

    /// What to log; nothing for a rejection.
    fn failure(&self) -> Option<Failure> {
        let is_outage = match self {
            Self::Rejected(_) | Self::Store(StoreError::Nul(_)) => return None,
            Self::Objects(error) => {
                matches!(error, ObjectError::Unreachable { .. } | ObjectError::NotFound(_))
                    || is_disk_full(error)
            }
            Self::Store(_) | Self::Shared(_) => self.is_outage(),
        };
        let kind = if is_outage { FailureKind::Outage } else { FailureKind::Defect };
        Some(Failure { cause: chain(self), kind })
    }

    /// What the caller sees. Internal details are not revealed.
    fn rejection(self) -> Rejection {
        let busy = |what| {
            Rejection::new(ErrorCode::Unavailable, format!("{what} can't be reached"))
                .hint("nothing was changed; try again in a moment")
        };
        let full = || {
            Rejection::new(ErrorCode::Unavailable, "the disk of the coordinator's database is full")
                .hint("nothing was changed; free disk space on the machine of the database and try again")
        };
        match self {
            Self::Rejected(rejection) => rejection,
            Self::Store(StoreError::CommitUnknown(_)) => Rejection::new(
                ErrorCode::Unavailable,
                "the connection to the database was lost during the commit",
            )
            .hint("the change may have been made; check before you try again"),
            Self::Store(StoreError::Full(_)) => full(),
            Self::Shared(error) if matches!(*error, StoreError::Full(_)) => full(),
            Self::Objects(error) if is_disk_full(&error) => {
                Rejection::new(ErrorCode::Unavailable, "the disk of the coordinator's object store is full")
                    .hint("nothing was stored; free disk space on the machine of the coordinator and try again")
            }
            Self::Store(error) if error.is_transient() => busy("the database"),
            Self::Shared(error) if error.is_transient() => busy("the database"),
            Self::Store(StoreError::Nul(_)) => {
                Rejection::invalid("a text contains a character that the database can't store").hint(
                    "remove NUL characters, and characters that the encoding of the database does not support; UTF8 \
                     supports all others",
                )
            }
            Self::Objects(ObjectError::Unreachable { .. }) => busy("the object store"),
            Self::Objects(ObjectError::NotFound(_)) => {
                Rejection::new(ErrorCode::NotFound, "the object no longer exists in the object store")
                    .hint("it was deleted there; upload it again")
            }
            Self::Store(_) | Self::Shared(_) | Self::Objects(_) => {
                Rejection::new(ErrorCode::Internal, "internal error")
                    .hint("the log of the coordinator has the cause under this request_id")
            }
        }
    }
}

/// Whether a full disk of the database or of the object store is the cause.
pub(crate) fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind as E;
    let mut next = Some(error);
    while let Some(cause) = next {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let of_database = matches!(cause.downcast_ref::<StoreError>(), Some(StoreError::Full(_)));
        if of_database || matches!(kind, Some(E::StorageFull | E::QuotaExceeded)) {
            return true;
        }
        next = cause.source();
    }
    false
}

impl IntoResponse for ApiError {
    /// Leaves the body and the log entry to [`crate::api::response_layer`], which knows the id of the request.
    fn into_response(self) -> Response {
        let failure = self.failure();
        let rejection = self.rejection();
        let mut response = rejection.status.unwrap_or_else(|| status(rejection.code)).into_response();
        if let Some(failure) = failure {
            response.extensions_mut().insert(failure);
        }
        response.extensions_mut().insert(rejection.into_body());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: impl Into<ApiError>) -> ErrorBody {
        error.into().rejection().into_body()
    }

    fn assert_complete(body: &ErrorBody) {
        assert!(body.code.is_some() && !body.msg.is_empty(), "{body:?}");
        assert!(body.hint.as_ref().is_some_and(|hint| hint.len() > 10), "{body:?}");
    }

    #[test]
    fn every_rejection_has_a_hint() {
        for code in ErrorCode::ALL {
            assert_complete(&body(Rejection::new(code, "no")));
        }
        for what in [
            ResourceKind::User,
            ResourceKind::Group,
            ResourceKind::Job,
            ResourceKind::Schedule,
            ResourceKind::Task,
            ResourceKind::Attachment,
            ResourceKind::Worker,
            ResourceKind::Token,
            ResourceKind::Limit,
            ResourceKind::Secret,
        ] {
            assert_complete(&body(Rejection::no_such(what, "x")));
        }
        assert_complete(&body(Rejection::invalid("no")));
        assert_complete(&body(Rejection::empty_list("tasks")));
        let cause = || "cause".into();
        for error in [
            StoreError::Unavailable(cause()),
            StoreError::Full(cause()),
            StoreError::CommitUnknown(cause()),
            StoreError::InUse { path: "x".into(), owner: None },
            StoreError::Schema(cause()),
            StoreError::Address { address: "x".into(), source: cause() },
            StoreError::Nul(cause()),
            StoreError::Closed,
            StoreError::Unexpected(cause()),
        ] {
            assert_complete(&body(error));
        }
        for error in [ObjectError::ShuttingDown, ObjectError::TooLarge { length: 1 }] {
            assert_complete(&body(error));
        }
    }

    #[test]
    fn full_disk_is_reported_as_such() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let message = |error: ApiError| error.rejection().into_body().msg;
        let directory = |source| ObjectError::Directory {
            operation: mitosis_objects::FileOperation::Write,
            path: "x".into(),
            source,
        };
        assert_eq!(
            message(StoreError::Full(full().into()).into()),
            "the disk of the coordinator's database is full"
        );
        let shared = ApiError::Shared(Arc::new(StoreError::Full("cause".into())));
        assert_eq!(message(shared), "the disk of the coordinator's database is full");
        assert_eq!(message(directory(full()).into()), "the disk of the coordinator's object store is full");
        assert!(is_disk_full(&directory(full())) && is_disk_full(&StoreError::Full("x".into())));
        let other = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert!(!is_disk_full(&directory(other)) && !is_disk_full(&StoreError::Closed));
    }

    #[test]
    fn outages_defects_and_rejections_are_distinguished() {
        let kind = |error: ApiError| error.failure().map(|failure| failure.kind);
        assert_eq!(kind(StoreError::Unavailable("cause".into()).into()), Some(FailureKind::Outage));
        assert_eq!(
            kind(ApiError::Shared(Arc::new(StoreError::Full("cause".into())))),
            Some(FailureKind::Outage)
        );
        assert_eq!(kind(StoreError::Unexpected("cause".into()).into()), Some(FailureKind::Defect));
        assert_eq!(kind(Rejection::forbidden("no").into()), None);
        assert_eq!(kind(StoreError::Nul("cause".into()).into()), None);
    }

    #[test]
    fn specific_hint_replaces_the_general_one() {
        let body = body(Rejection::forbidden("no").hint("ask ann"));
        assert_eq!(body.hint.as_deref(), Some("ask ann"));
    }
}
