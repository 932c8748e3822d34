//! The form of an error (§1.1): a sentence, a stable code and a hint.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every reply that is not a success.
///
/// 0.6.8 clients read only `msg`. The other fields are native: `code` is stable and meant for programs, `hint`
/// says what to do, `request_id` identifies the request in the coordinator's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// A sentence for people.
    pub msg: String,
    /// A stable code for programs; absent from old servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// What the caller can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The id of this request in the coordinator's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Why a request was refused, independent of the wording.
///
/// A code that a reader does not know is read as [`ErrorCode::Unknown`]; the status of the reply still gives
/// the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// 400: the request is well formed but impossible.
    InvalidRequest,
    /// 400: no bearer token was sent.
    MissingToken,
    /// 401: the token is malformed, superseded, signed with other keys, or an expired user token.
    InvalidToken,
    /// 401: the worker's token has expired, while its registration may still exist. Log in and register again.
    TokenExpired,
    /// 401: the worker is not registered: it was silent for too long, or its owner's account is not active. Log
    /// in and register again.
    WorkerUnknown,
    /// 401: the lifetime of the worker's registration has ended. The worker exits.
    WorkerExpired,
    /// 401: a user removed the worker. The worker exits.
    WorkerRemoved,
    /// 401: the user name or the password is wrong.
    WrongCredentials,
    /// 403: the account is locked or deleted.
    AccountNotActive,
    /// 403: the caller's role does not allow this.
    Forbidden,
    /// 403: a quota would be exceeded.
    QuotaExceeded,
    /// 404: the object of the request does not exist, or is not in the required state. For a group or a user,
    /// 400 or 403 on the routes where the contract requires it.
    NotFound,
    /// 404: the route does not exist.
    NoSuchRoute,
    /// 405: the route exists with other methods.
    MethodNotAllowed,
    /// 404: the reporting attempt does not hold the task any more.
    LeaseLost,
    /// 409: the name is taken.
    NameTaken,
    /// 409: the idempotency key was used for a different submission.
    KeyReused,
    /// 413: the body exceeds the limit.
    TooLarge,
    /// 415: the body is not JSON.
    NotJson,
    /// 422: the body is JSON of an invalid form.
    WrongShape,
    /// 429: too many attempts; wait.
    TooManyRequests,
    /// 500: an internal error of the server.
    Internal,
    /// 503: the database or the object store can't be reached; try again.
    Unavailable,
    /// A code that this reader does not know.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// The general hint for the code, if there is no better one.
    pub const fn usual_hint(self) -> &'static str {
        match self {
            Self::InvalidRequest => {
                "nothing was changed; see the API description on the coordinator's page /docs"
            }
            Self::MissingToken => "send `Authorization: Bearer TOKEN`; `POST /login` returns a token",
            Self::InvalidToken => {
                "log in again; a login without `retain` or a password change ends earlier sessions"
            }
            Self::TokenExpired => "log in and register the worker again, or renew its token earlier",
            Self::WorkerUnknown => "log in and register the worker again; its tasks may have been requeued",
            Self::WorkerExpired => "start another worker, with a longer lifetime if necessary",
            Self::WorkerRemoved => "start another worker if it is still needed",
            Self::WrongCredentials => "check both; an administrator can reset the password",
            Self::AccountNotActive => "ask an administrator to restore it",
            Self::Forbidden => "ask a user with the role, or request the role",
            Self::QuotaExceeded => {
                "delete what is no longer needed, or ask an administrator to raise the quota"
            }
            Self::NotFound => "check the spelling and your permissions",
            Self::NoSuchRoute => {
                "the coordinator's page /docs lists all routes; the coordinator may be older than the client"
            }
            Self::MethodNotAllowed => "the coordinator's page /docs lists the methods of the route",
            Self::LeaseLost => "discard it; the task has ended or another attempt runs it",
            Self::NameTaken => "choose another name",
            Self::KeyReused => "use a new key for a new submission",
            Self::TooLarge => "split the request; upload large inputs as attachments",
            Self::NotJson => "send JSON, with `Content-Type: application/json`",
            Self::WrongShape => "see the API description on the coordinator's page /docs",
            Self::TooManyRequests => "wait, and send requests less often",
            Self::Internal => "the log of the coordinator has the cause under this request_id",
            Self::Unavailable => "nothing was changed; try again in a moment",
            Self::Unknown => "the server may be newer than this program",
        }
    }

    /// All codes.
    pub const ALL: [Self; 24] = [
        Self::InvalidRequest,
        Self::MissingToken,
        Self::InvalidToken,
        Self::TokenExpired,
        Self::WorkerUnknown,
        Self::WorkerExpired,
        Self::WorkerRemoved,
        Self::WrongCredentials,
        Self::AccountNotActive,
        Self::Forbidden,
        Self::QuotaExceeded,
        Self::NotFound,
        Self::NoSuchRoute,
        Self::MethodNotAllowed,
        Self::LeaseLost,
        Self::NameTaken,
        Self::KeyReused,
        Self::TooLarge,
        Self::NotJson,
        Self::WrongShape,
        Self::TooManyRequests,
        Self::Internal,
        Self::Unavailable,
        Self::Unknown,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_old_and_newer_servers_are_read() {
        let old: ErrorBody = serde_json::from_str(r#"{"msg":"no"}"#).unwrap();
        assert_eq!(old.code, None);
        let newer: ErrorBody = serde_json::from_str(r#"{"msg":"no","code":"moon_phase","x":1}"#).unwrap();
        assert_eq!(newer.code, Some(ErrorCode::Unknown));
    }

    #[test]
    fn every_code_has_a_hint_and_is_listed_once() {
        let mut words = std::collections::BTreeSet::new();
        for (place, code) in ErrorCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place, "{code:?} is not at its place");
            let hint = code.usual_hint();
            assert!(hint.len() > 10 && !hint.ends_with('.'), "{code:?}: {hint}");
            assert!(words.insert(hint), "{code:?} says what another one says");
        }
        // The last declared code is the last listed one, so none is missing.
        assert_eq!(ErrorCode::ALL.last(), Some(&ErrorCode::Unknown));
    }

    #[test]
    fn absent_fields_are_left_out() {
        let body =
            ErrorBody { msg: "no".into(), code: Some(ErrorCode::NotFound), hint: None, request_id: None };
        assert_eq!(serde_json::to_string(&body).unwrap(), r#"{"msg":"no","code":"not_found"}"#);
    }
}
