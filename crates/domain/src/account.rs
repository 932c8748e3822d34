//! Users and groups.

use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{Role, Timestamp};

use crate::ids::{GroupId, UserId};

/// A user account.
#[derive(Debug, Clone)]
pub struct User {
    /// Internal identity.
    pub id: UserId,
    /// Name, also of the personal group.
    pub name: String,
    /// Argon2id PHC string over the sixteen bytes of the digest.
    pub password_hash: String,
    /// The one generation of tokens that is valid; none before the first login (HTTP contract §3).
    pub session: Option<i64>,
    /// Whether `/admin` is open to it.
    pub admin: bool,
    /// Whether it may do anything.
    pub state: AccountState,
    /// Groups it may create, the personal one included.
    pub group_quota: i32,
    /// Groups it has created.
    pub group_count: i32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Internal identity.
    pub id: GroupId,
    /// Name.
    pub name: String,
    /// Who made it.
    pub creator: String,
    /// Only Active groups take uploads.
    pub state: AccountState,
    /// Task numbers handed out.
    pub task_count: i64,
    /// Bytes it may store.
    pub storage_quota: i64,
    /// Bytes it stores, announced uploads included.
    pub storage_used: i64,
    /// Workers that list it, with any role.
    pub worker_count: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a user is to a group: the answer every permission check starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// There is no such group.
    NoSuchGroup,
    /// The group exists; the user is not in it.
    Outsider(GroupId),
    /// The user is in the group, with this role.
    Member(GroupId, Role),
}
