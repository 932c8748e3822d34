//! Groups and membership (§7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;
use crate::admin::AccountState;

/// The rights of a member in a group, and of a group on a worker.
///
/// Ordered: each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum Role {
    /// View and download.
    #[serde(alias = "read", alias = "READ")]
    Read,
    /// Also submit, change, cancel and upload; on a worker: run tasks there.
    #[serde(alias = "write", alias = "WRITE")]
    Write,
    /// Also manage members; on a worker: control it.
    #[serde(alias = "admin", alias = "ADMIN")]
    Admin,
}

/// `POST /groups`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateGroupRequest {
    /// 1 to 255 of `A-Z a-z 0-9 - _`; shares its name space with users.
    pub group_name: String,
}

/// `GET /groups/{group}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupInfo {
    /// Name of the group.
    pub group_name: String,
    /// The name of the user who created it.
    pub creator_username: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Only `Active` groups take uploads.
    pub state: AccountState,
    /// How many task numbers have been assigned.
    pub task_count: i64,
    /// Storage quota in bytes.
    pub storage_quota: i64,
    /// Bytes in use, including announced uploads.
    pub storage_used: i64,
    /// How many workers list the group, with any role.
    pub worker_count: i64,
    /// The largest priority that members with the role Write may use; left out without a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_priority: Option<i32>,
    /// Members and roles; null unless the caller is Admin in the group.
    pub users_in_group: Option<BTreeMap<String, Role>>,
}

/// `PUT /v1/groups/{group}/write-priority`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WritePriorityRequest {
    /// The largest priority that members with the role Write may use, at least 0; null for no bound.
    #[serde(default)]
    pub most: Option<i32>,
}

/// `PUT /groups/{group}/users` and `PUT /workers/{uuid}/groups`: names with their new roles.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RelationsRequest {
    /// At least one entry.
    pub relations: BTreeMap<String, Role>,
}

/// `POST /groups/{group}/users/remove`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RemoveUsersRequest {
    /// At least one name.
    pub users: Vec<String>,
}
