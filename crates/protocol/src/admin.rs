//! Site administration (§6).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Md5Password;

/// The state of a user or a group (§2.1). Any state but `Active` refuses every call of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum AccountState {
    /// The account is usable.
    Active,
    /// The account is locked until it is made active again.
    Locked,
    /// The account is deleted. Its name stays reserved, and it can be made active again.
    Deleted,
}

/// `POST /admin/users`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateUserRequest {
    /// Account name: 1 to 255 of `A-Z a-z 0-9 - _`.
    pub username: String,
    /// Digest of the first password.
    pub md5_password: Md5Password,
    /// Whether the account may use `/admin`.
    pub admin: bool,
}

/// `POST /admin/users/{username}/password`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResetPasswordRequest {
    /// Digest of the password to set.
    pub new_md5_password: Md5Password,
    /// Also revoke the account's personal tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoke_tokens: bool,
}

/// `POST /admin/users/{username}/state`, and the reply to it and to a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountStateBody {
    /// The state to set, or the state now in force.
    pub state: AccountState,
}

/// `POST /admin/users/{username}/group-quota`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GroupQuotaRequest {
    /// `n` or `=n` sets, `+n` adds, `-n` subtracts.
    pub group_quota: String,
}

/// Reply to a change of the group quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupQuotaReply {
    /// How many groups the user may create, including the personal one.
    pub group_quota: i32,
}

/// `POST /admin/groups/{group}/storage-quota`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StorageQuotaRequest {
    /// A byte size such as `16GB`; `=` sets, `+` adds, `-` subtracts.
    pub storage_quota: String,
}

/// Reply to a change of the storage quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageQuotaReply {
    /// Bytes the group may store.
    pub storage_quota: i64,
}

/// `POST /admin/shutdown`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ShutdownRequest {
    /// The secret from the coordinator's log.
    pub secret: String,
}
