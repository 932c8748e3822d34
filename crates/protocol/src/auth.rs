//! Login and the caller's own account (§5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::tokens::TokenScope;
use crate::{Md5Password, Role};

/// `POST /login`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginRequest {
    /// Account name.
    pub username: String,
    /// Digest of the password.
    pub md5_password: Md5Password,
    /// Whether the account's earlier tokens stay valid. Otherwise they end at once (§3).
    #[serde(default)]
    pub retain: bool,
}

/// The reply to a login or a password change.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenReply {
    /// An opaque bearer token.
    pub token: String,
}

/// `POST /users/{username}/password`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangeOwnPasswordRequest {
    /// Digest of the present password.
    pub old_md5_password: Md5Password,
    /// Digest of the new password.
    pub new_md5_password: Md5Password,
}

/// `GET /users/groups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnGroupsReply {
    /// The caller's groups, with the caller's role in each.
    pub groups: BTreeMap<String, Role>,
}

/// `GET /redis`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RedisReply {
    /// The address to subscribe at; null without Redis.
    pub url: Option<String>,
}

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthReply {
    /// `ok`, or `unavailable` with status 503.
    pub status: String,
    /// The state of each part: `ok` or the problem. Not sent by old servers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
    /// The version of the coordinator. Not sent by old servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What this coordinator knows beyond the first native version: the names in [`features`]. Not sent by old servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// Names in [`HealthReply::features`]: for requests with fields that an older coordinator would ignore.
pub mod features {
    /// Tasks with a directory, files or standard input.
    pub const SURROUNDINGS: &str = "surroundings";
    /// Output of single attempts.
    pub const ATTEMPT_OUTPUT: &str = "attempt_output";
    /// Tasks that use secrets.
    pub const SECRETS: &str = "secrets";
    /// Tasks with a stop signal or a grace period.
    pub const STOPPING: &str = "stopping";
    /// What a task requests of its worker, and what a worker offers.
    pub const PLACEMENT: &str = "placement";
    /// All of them.
    pub const ALL: [&str; 5] = [SURROUNDINGS, ATTEMPT_OUTPUT, SECRETS, STOPPING, PLACEMENT];
}

/// `POST /v1/web/login`: one of three ways to log in to the web page.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum WebLoginRequest {
    /// With a password.
    Password {
        /// Account name.
        username: String,
        /// The password itself.
        password: String,
    },
    /// With a personal token.
    Token {
        /// The token.
        token: String,
    },
    /// With a code that is valid once.
    Code {
        /// The code.
        code: String,
    },
}

/// Who is logged in to the web page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebSession {
    /// Account name.
    pub username: String,
    /// Whether the user is an administrator of the site.
    pub admin: bool,
    /// The scope of the personal token; a session has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<TokenScope>,
}

/// `POST /v1/web/login-codes`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginCodeReply {
    /// Logs in to the web page once, as the user of this request.
    pub code: String,
    /// How long it is valid.
    pub valid_seconds: u64,
}
