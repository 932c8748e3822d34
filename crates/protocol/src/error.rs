//! What a refusal looks like (§1.1): a sentence, and beside it a stable code and a hint.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every answer that is not a success.
///
/// Published clients read `msg` only. The other fields are ours: `code` is stable and meant for
/// programs, `hint` says what to do, `request_id` finds the request in the coordinator's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// One sentence for a person.
    pub msg: String,
    /// A stable word for a program; absent when the server is an old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// What the caller can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Names this request in the coordinator's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Why a request was refused, independent of the wording.
///
/// A reader that meets a code it does not know gets [`ErrorCode::Unknown`]; the status code of the
/// answer still tells the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// 400: the request is well formed but asks for something that can't be.
    InvalidRequest,
    /// 400: no bearer token was sent.
    MissingToken,
    /// 401: the token is malformed, expired or superseded.
    InvalidToken,
    /// 401: user name and password do not belong together.
    WrongCredentials,
    /// 403: the account is locked or deleted.
    AccountNotActive,
    /// 403: the caller's role does not allow this.
    Forbidden,
    /// 403: a quota would be exceeded.
    QuotaExceeded,
    /// 404: what the request names does not exist, or is not in the state that the request needs.
    NotFound,
    /// 404: there is no such route.
    NoSuchRoute,
    /// 405: the route exists with other methods.
    MethodNotAllowed,
    /// 404: the attempt that reports no longer holds the task.
    LeaseLost,
    /// 409: the name is taken.
    NameTaken,
    /// 409: the idempotency key was used for a different submission.
    KeyReused,
    /// 413: the body is over the limit.
    TooLarge,
    /// 415: the body is not JSON.
    NotJson,
    /// 422: the body is JSON of the wrong shape.
    WrongShape,
    /// 429: too many attempts; wait.
    TooManyRequests,
    /// 500: a fault of the server.
    Internal,
    /// 503: the database or the object store can't be reached; try again.
    Unavailable,
    /// A code that this reader does not know.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_sends_only_the_sentence_and_a_newer_one_may_send_a_code_we_do_not_know() {
        let old: ErrorBody = serde_json::from_str(r#"{"msg":"no"}"#).unwrap();
        assert_eq!(old.code, None);
        let newer: ErrorBody = serde_json::from_str(r#"{"msg":"no","code":"moon_phase","x":1}"#).unwrap();
        assert_eq!(newer.code, Some(ErrorCode::Unknown));
    }

    #[test]
    fn absent_fields_are_left_out() {
        let body =
            ErrorBody { msg: "no".into(), code: Some(ErrorCode::NotFound), hint: None, request_id: None };
        assert_eq!(serde_json::to_string(&body).unwrap(), r#"{"msg":"no","code":"not_found"}"#);
    }
}
