//! The audit log: what administrators did, and who logged in (native API).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// `GET /v1/admin/audit`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditReply {
    /// One page; the `id` of the last is `before` of the next.
    pub entries: Vec<AuditEntry>,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Rises with time.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// By whom: the name of a user, as it was given.
    pub actor: String,
    /// What, such as `user.created`; see [`actions`].
    pub action: String,
    /// To what: a name or a UUID, with details.
    pub target: String,
    /// From which address, where that is known.
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
}

/// The names of what is recorded.
pub mod actions {
    /// A login that succeeded.
    pub const LOGGED_IN: &str = "login.succeeded";
    /// A login with a wrong password or an unknown name.
    pub const LOGIN_FAILED: &str = "login.failed";
    /// A user set the own password.
    pub const PASSWORD_CHANGED: &str = "password.changed";
    /// A user made a personal token.
    pub const TOKEN_CREATED: &str = "token.created";
    /// A user revoked a personal token.
    pub const TOKEN_REVOKED: &str = "token.revoked";
    /// An administrator made an account.
    pub const USER_CREATED: &str = "user.created";
    /// An administrator set the state of an account.
    pub const USER_STATE_SET: &str = "user.state_set";
    /// An administrator set a password.
    pub const USER_PASSWORD_SET: &str = "user.password_set";
    /// An administrator changed how many groups a user may make.
    pub const GROUP_QUOTA_SET: &str = "user.group_quota_set";
    /// An Admin of a group deleted it.
    pub const GROUP_DELETED: &str = "group.deleted";
    /// An administrator gave users roles in a group, and made it active.
    pub const GROUP_RESTORED: &str = "group.restored";
    /// An administrator changed how much a group may store.
    pub const STORAGE_QUOTA_SET: &str = "group.storage_quota_set";
    /// An administrator removed an attachment.
    pub const ATTACHMENT_REMOVED: &str = "attachment.removed";
    /// An administrator removed an artifact.
    pub const ARTIFACT_REMOVED: &str = "artifact.removed";
    /// An administrator stopped a worker.
    pub const WORKER_STOPPED: &str = "worker.stopped";
    /// An administrator stopped the coordinator.
    pub const COORDINATOR_STOPPED: &str = "coordinator.stopped";
}
