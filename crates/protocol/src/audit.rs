//! The audit log: actions of administrators, and logins (native API).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Timestamp, timestamp};

/// `GET /v1/admin/audit`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditReply {
    /// One page; the `id` of its last entry is `before` of the next page.
    pub entries: Vec<AuditEntry>,
}

/// A recorded action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// The number of the entry; it increases with time.
    pub id: i64,
    /// When the action happened.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub at: Timestamp,
    /// The name of the user, as it was given.
    pub actor: String,
    /// The action, such as `user.created`; see [`actions`].
    pub action: String,
    /// The target: a name or a UUID, with details.
    pub target: String,
    /// The address of the caller, if it is known.
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
}

/// The names of the recorded actions.
pub mod actions {
    /// A login that succeeded.
    pub const LOGGED_IN: &str = "login.succeeded";
    /// A login with a wrong password or an unknown name.
    pub const LOGIN_FAILED: &str = "login.failed";
    /// A user ended all their sessions.
    pub const LOGGED_OUT: &str = "sessions.ended";
    /// A user changed their password.
    pub const PASSWORD_CHANGED: &str = "password.changed";
    /// A user created a personal token.
    pub const TOKEN_CREATED: &str = "token.created";
    /// A user revoked a personal token.
    pub const TOKEN_REVOKED: &str = "token.revoked";
    /// An administrator created an account.
    pub const USER_CREATED: &str = "user.created";
    /// An administrator set the state of an account.
    pub const USER_STATE_SET: &str = "user.state_set";
    /// An administrator set a password.
    pub const USER_PASSWORD_SET: &str = "user.password_set";
    /// An administrator changed how many groups a user may create.
    pub const GROUP_QUOTA_SET: &str = "user.group_quota_set";
    /// An Admin of a group deleted it.
    pub const GROUP_DELETED: &str = "group.deleted";
    /// An administrator set roles in a group, and made it active.
    pub const GROUP_RESTORED: &str = "group.restored";
    /// An Admin of a group read the key that signs its notifications.
    pub const NOTIFY_KEY_READ: &str = "group.notify_key_read";
    /// An Admin of a group replaced that key.
    pub const NOTIFY_KEY_REPLACED: &str = "group.notify_key_replaced";
    /// An Admin of a group set a secret.
    pub const SECRET_SET: &str = "group.secret_set";
    /// An Admin of a group removed a secret.
    pub const SECRET_REMOVED: &str = "group.secret_removed";
    /// An administrator changed the storage quota of a group.
    pub const STORAGE_QUOTA_SET: &str = "group.storage_quota_set";
    /// An administrator changed the weight of a group.
    pub const WEIGHT_SET: &str = "group.weight_set";
    /// An administrator removed an attachment.
    pub const ATTACHMENT_REMOVED: &str = "attachment.removed";
    /// An administrator removed an artifact.
    pub const ARTIFACT_REMOVED: &str = "artifact.removed";
    /// An administrator stopped a worker.
    pub const WORKER_STOPPED: &str = "worker.stopped";
    /// An administrator stopped the coordinator.
    pub const COORDINATOR_STOPPED: &str = "coordinator.stopped";
}
