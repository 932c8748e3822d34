//! Login, and what a user may ask about the own account (§5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Md5Password, Role};

/// `POST /login`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginRequest {
    /// Account name.
    pub username: String,
    /// Digest of the password.
    pub md5_password: Md5Password,
    /// Keep the account's earlier tokens valid. Without it they stop working at once (§3).
    #[serde(default)]
    pub retain: bool,
}

/// Reply to a login or a change of the own password.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenReply {
    /// Opaque bearer token.
    pub token: String,
}

/// `POST /users/{username}/password`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangeOwnPasswordRequest {
    /// Digest of the password in force.
    pub old_md5_password: Md5Password,
    /// Digest of the password to set.
    pub new_md5_password: Md5Password,
}

/// `GET /users/groups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnGroupsReply {
    /// Every group the caller belongs to, with the caller's role in it.
    pub groups: BTreeMap<String, Role>,
}

/// `GET /redis`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RedisReply {
    /// Where to subscribe; null when Redis is not configured.
    pub url: Option<String>,
}

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthReply {
    /// `ok`, or `unavailable` with status 503.
    pub status: String,
    /// Each part the coordinator needs, with `ok` or the reason why not. Not sent by old servers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
    /// Version of the coordinator. Not sent by old servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
