//! Personal tokens: for scripts, without the password (native API).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// What every personal token begins with, so that leaked ones can be found.
pub const PREFIX: &str = "mito_pat_";

/// What a personal token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// Look and download; change nothing.
    Read,
    /// Whatever its owner may do, except managing tokens and the password.
    Write,
    /// The same with `/admin`, if its owner is an administrator.
    Admin,
}

/// `POST /v1/tokens`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateTokenRequest {
    /// By which its owner recognises it; made like the name of a user.
    pub name: String,
    /// What it may be used for.
    pub scope: TokenScope,
    /// How long it is valid; for ever when absent.
    #[serde(default, with = "crate::duration::optional_text")]
    #[schema(value_type = Option<String>, example = "1h 30m")]
    pub lifetime: Option<Duration>,
}

/// Reply to [`CreateTokenRequest`].
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateTokenReply {
    /// Names it when it is revoked.
    pub id: i64,
    /// The token itself, shown this once.
    pub token: String,
}

/// One of the caller's tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenInfo {
    /// Names it when it is revoked.
    pub id: i64,
    /// By which its owner recognises it.
    pub name: String,
    /// What it may be used for.
    pub scope: TokenScope,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; null for never.
    pub expires_at: Option<Timestamp>,
}

/// `GET /v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokensReply {
    /// Oldest first; those that have ended too.
    pub tokens: Vec<TokenInfo>,
}

/// `POST /v1/workers/token`: a worker's token with a new end.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RenewWorkerTokenRequest {
    /// How long it is valid; the coordinator's default when absent.
    #[serde(default, with = "crate::duration::optional_text")]
    #[schema(value_type = Option<String>, example = "1h 30m")]
    pub lifetime: Option<Duration>,
}
