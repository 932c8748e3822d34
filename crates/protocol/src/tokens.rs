//! Personal tokens for scripts, instead of the password (native API).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Timestamp, timestamp};

/// The prefix of all personal tokens, so that leaked ones can be found.
pub const PREFIX: &str = "mito_pat_";

/// The scope of a personal token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// View and download; change nothing.
    Read,
    /// Everything that its owner may do, except for managing tokens and the password.
    Write,
    /// Like `Write`, including `/admin` if its owner is an administrator.
    Admin,
}

/// `POST /v1/tokens`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateTokenRequest {
    /// A name for the owner, with the rules of a user name.
    pub name: String,
    /// The scope.
    pub scope: TokenScope,
    /// How long the token is valid; forever if absent.
    #[serde(default, with = "crate::duration::optional_text")]
    #[schema(value_type = Option<String>, example = "1h 30m")]
    pub lifetime: Option<Duration>,
}

/// Reply to [`CreateTokenRequest`].
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateTokenReply {
    /// The id for revoking it.
    pub id: i64,
    /// The token, which is shown only this once.
    pub token: String,
}

/// A personal token of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenInfo {
    /// The id for revoking it.
    pub id: i64,
    /// The name that its owner gave it.
    pub name: String,
    /// The scope.
    pub scope: TokenScope,
    /// When it was created.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub created_at: Timestamp,
    /// When it expires; null for never.
    #[serde(default, with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub expires_at: Option<Timestamp>,
}

/// `GET /v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokensReply {
    /// The tokens, oldest first, including expired ones.
    pub tokens: Vec<TokenInfo>,
}

/// `POST /v1/workers/token`: renews a worker's token.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RenewWorkerTokenRequest {
    /// How long it is valid; the coordinator's default if absent.
    #[serde(default, with = "crate::duration::optional_text")]
    #[schema(value_type = Option<String>, example = "1h 30m")]
    pub lifetime: Option<Duration>,
}
