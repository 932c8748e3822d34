//! Refusals and failures on their way to the caller. The one place that knows status codes.
//!
//! The caller gets a sentence, a stable code and a hint; the log gets the whole chain of causes.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use mitosis_domain::name::InvalidName;
use mitosis_objects::ObjectError;
use mitosis_protocol::{ErrorBody, ErrorCode};
use mitosis_store::StoreError;

use crate::failures::Failure;

/// Why a request is not answered with a success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The caller asked for something that can't be had.
    #[error("{0}")]
    Refused(Refusal),
    /// The database did not do its work.
    #[error("database error")]
    Store(#[from] StoreError),
    /// The same, in an operation that served many callers.
    #[error("database error")]
    Shared(#[from] Arc<StoreError>),
    /// The object store did not do its work.
    #[error("object store error")]
    Objects(#[from] ObjectError),
}

/// What the caller is told about a request that can't be granted.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: ErrorCode,
    /// Where the contract has another status than that of the code.
    status: Option<StatusCode>,
    msg: String,
    /// Never empty: there is no way to make a refusal without one.
    hint: Cow<'static, str>,
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
    /// With what can usually be done about such a code.
    pub(crate) fn new(code: ErrorCode, msg: impl Into<String>) -> Self {
        Self { code, status: None, msg: msg.into(), hint: code.usual_hint().into() }
    }

    /// What does not exist, on a route that answers with the status of something else (HTTP contract §2): one
    /// mistake has one code, wherever it is made.
    pub(crate) fn not_found_as(status: StatusCode, msg: impl Into<String>) -> Self {
        Self { status: Some(status), ..Self::new(ErrorCode::NotFound, msg) }
    }

    /// Says better what the caller can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Whatever a check of the input says; its text is the sentence.
    pub(crate) fn invalid(why: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidRequest, why.to_string())
    }

    /// A name that nobody and nothing can have.
    pub(crate) fn bad_name(error: InvalidName) -> Self {
        Self::invalid(error).hint("choose something like `vision-lab`")
    }

    /// A list that must not be empty.
    pub(crate) fn empty_list(of: &str) -> Self {
        Self::invalid(format!("there are no {of} in this list")).hint("name at least one")
    }

    pub(crate) fn no_such(what: ResourceKind, name: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no {} `{name}`", what.word())).hint(what.hint())
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

/// What a request can name in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    User,
    Group,
    Task,
    Attachment,
    Worker,
    Token,
}

impl ResourceKind {
    const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Task => "task",
            Self::Attachment => "attachment",
            Self::Worker => "worker",
            Self::Token => "token",
        }
    }

    /// How to see what there is.
    const fn hint(self) -> &'static str {
        match self {
            Self::User => "check the spelling; an account is made by an administrator",
            Self::Group => "`mito client users groups` lists yours; `mito client groups create` makes one",
            Self::Task => {
                "`mito client tasks query` lists those of your group; old ones may have been removed"
            }
            Self::Attachment => {
                "`mito client groups attachments query` lists those of your group; -g names another"
            }
            Self::Worker => "`mito client workers query` lists those of your group; it may have ended",
            Self::Token => "`mito client tokens list` lists yours",
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
    /// Whether the database is away, and the same request may work in a moment.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Shared(error) => error.is_transient(),
            Self::Refused(_) | Self::Objects(_) => false,
        }
    }

    /// What the log is told; nothing where the caller asked for what can't be had.
    fn failure(&self) -> Option<Failure> {
        let is_outage = match self {
            Self::Refused(_) | Self::Store(StoreError::Nul(_)) => return None,
            Self::Objects(error) => {
                matches!(error, ObjectError::Unreachable { .. } | ObjectError::NotFound(_))
                    || is_disk_full(error)
            }
            Self::Store(_) | Self::Shared(_) => self.is_outage(),
        };
        Some(Failure { cause: chain(self), is_outage })
    }

    /// What the caller sees. Nothing of the machinery shows.
    fn refusal(self) -> Refusal {
        let busy = |what| {
            Refusal::new(ErrorCode::Unavailable, format!("{what} can't be reached"))
                .hint("nothing was changed; try again in a moment")
        };
        let full = || {
            Refusal::new(ErrorCode::Unavailable, "the disk of the coordinator's database is full")
                .hint("nothing was changed; make room on the machine of the database, and try again")
        };
        match self {
            Self::Refused(refusal) => refusal,
            Self::Store(StoreError::CommitUnknown(_)) => Refusal::new(
                ErrorCode::Unavailable,
                "the connection to the database broke at the last moment",
            )
            .hint("the change may or may not stand; look before you try again"),
            Self::Store(StoreError::Full(_)) => full(),
            Self::Shared(error) if matches!(*error, StoreError::Full(_)) => full(),
            Self::Objects(error) if is_disk_full(&error) => {
                Refusal::new(ErrorCode::Unavailable, "the disk of the coordinator's object store is full")
                    .hint("nothing was stored; make room on the machine of the coordinator, and try again")
            }
            Self::Store(error) if error.is_transient() => busy("the database"),
            Self::Shared(error) if error.is_transient() => busy("the database"),
            Self::Store(StoreError::Nul(_)) => {
                Refusal::invalid("a text holds a character that the database can't store").hint(
                    "leave out NUL characters, and what the encoding of the database does not have; UTF8 has \
                     everything else",
                )
            }
            Self::Objects(ObjectError::Unreachable { .. }) => busy("the object store"),
            Self::Objects(ObjectError::NotFound(_)) => {
                Refusal::new(ErrorCode::NotFound, "the stored object is gone")
                    .hint("somebody deleted it from the object store; upload it again")
            }
            Self::Store(_) | Self::Shared(_) | Self::Objects(_) => {
                Refusal::new(ErrorCode::Internal, "the coordinator failed to do this")
                    .hint("its log has the cause, under the request_id")
            }
        }
    }
}

/// Whether a full disk is at the bottom of it, be it that of the database or that of the objects.
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
    /// Leaves the body and the log to [`crate::api::finish`], which knows the id of the request.
    fn into_response(self) -> Response {
        let failure = self.failure();
        let refusal = self.refusal();
        let mut response = refusal.status.unwrap_or_else(|| status(refusal.code)).into_response();
        if let Some(failure) = failure {
            response.extensions_mut().insert(failure);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: impl Into<ApiError>) -> ErrorBody {
        error.into().refusal().into_body()
    }

    fn says_what_to_do(body: &ErrorBody) {
        assert!(body.code.is_some() && !body.msg.is_empty(), "{body:?}");
        assert!(body.hint.as_ref().is_some_and(|hint| hint.len() > 10), "{body:?}");
    }

    #[test]
    fn a_refusal_of_any_kind_says_what_to_do_about_it() {
        for code in ErrorCode::ALL {
            says_what_to_do(&body(Refusal::new(code, "no")));
        }
        for what in [
            ResourceKind::User,
            ResourceKind::Group,
            ResourceKind::Task,
            ResourceKind::Attachment,
            ResourceKind::Worker,
            ResourceKind::Token,
        ] {
            says_what_to_do(&body(Refusal::no_such(what, "x")));
        }
        says_what_to_do(&body(Refusal::invalid("no")));
        says_what_to_do(&body(Refusal::empty_list("tasks")));
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
            says_what_to_do(&body(error));
        }
        for error in [ObjectError::ShuttingDown, ObjectError::TooLarge { length: 1 }] {
            says_what_to_do(&body(error));
        }
    }

    #[test]
    fn a_full_disk_is_told_as_such_and_nothing_else_is() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let told = |error: ApiError| error.refusal().into_body().msg;
        let directory = |source| ObjectError::Directory {
            operation: mitosis_objects::FileOperation::Write,
            path: "x".into(),
            source,
        };
        assert_eq!(
            told(StoreError::Full(full().into()).into()),
            "the disk of the coordinator's database is full"
        );
        let shared = ApiError::Shared(Arc::new(StoreError::Full("cause".into())));
        assert_eq!(told(shared), "the disk of the coordinator's database is full");
        assert_eq!(told(directory(full()).into()), "the disk of the coordinator's object store is full");
        assert!(is_disk_full(&directory(full())) && is_disk_full(&StoreError::Full("x".into())));
        let other = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert!(!is_disk_full(&directory(other)) && !is_disk_full(&StoreError::Closed));
    }

    #[test]
    fn outages_are_told_from_defects_and_refusals() {
        let is_outage = |error: ApiError| error.failure().map(|failure| failure.is_outage);
        assert_eq!(is_outage(StoreError::Unavailable("cause".into()).into()), Some(true));
        assert_eq!(is_outage(ApiError::Shared(Arc::new(StoreError::Full("cause".into())))), Some(true));
        assert_eq!(is_outage(StoreError::Unexpected("cause".into()).into()), Some(false));
        assert_eq!(is_outage(Refusal::forbidden("no").into()), None);
        assert_eq!(is_outage(StoreError::Nul("cause".into()).into()), None);
    }

    #[test]
    fn a_better_hint_takes_the_place_of_the_usual_one() {
        let body = body(Refusal::forbidden("no").hint("ask ann"));
        assert_eq!(body.hint.as_deref(), Some("ask ann"));
    }
}
