//! Users and groups.

use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{Role, Timestamp};

use crate::ids::{GroupId, UserId};

/// A user account.
#[derive(Debug, Clone)]
pub struct User {
    /// The internal id.
    pub id: UserId,
    /// The name, also of the personal group.
    pub name: String,
    /// Argon2id PHC string over the sixteen bytes of the digest.
    pub password_hash: String,
    /// The generation of tokens that is valid; none before the first login (HTTP contract §3).
    pub session: Option<i64>,
    /// Whether the user is an administrator.
    pub admin: bool,
    /// Whether the account is usable.
    pub state: AccountState,
    /// How many groups the user may create, including the personal one.
    pub group_quota: i32,
    /// How many groups the user has created.
    pub group_count: i32,
    /// When the account was created.
    pub created_at: Timestamp,
}

/// A group.
#[derive(Debug, Clone)]
pub struct Group {
    /// The internal id.
    pub id: GroupId,
    /// The name.
    pub name: String,
    /// The name of the user who created it.
    pub creator: String,
    /// Only Active groups take uploads.
    pub state: AccountState,
    /// How many task numbers have been assigned.
    pub task_count: i64,
    /// Storage quota in bytes.
    pub storage_quota: i64,
    /// Bytes in use, including announced uploads.
    pub storage_used: i64,
    /// How many workers list the group, with any role.
    pub worker_count: i64,
    /// The largest priority that members with the role Write may use; none without a bound.
    pub write_priority: Option<i32>,
    /// When the group was created.
    pub created_at: Timestamp,
    /// When the group was last changed.
    pub updated_at: Timestamp,
}

/// The relation of a user to a group, from which every permission check starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// The group does not exist.
    NoSuchGroup,
    /// The group exists and the user is not a member.
    Outsider(GroupId),
    /// The user is a member with this role.
    Member(GroupId, Role),
}
