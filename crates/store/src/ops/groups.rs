//! Groups and their members.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mitosis_domain::account::{Group, Membership};
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::name::Name;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::{Administered, By};

/// Outcome of [`Groups::create_group`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupCreation {
    /// The group exists and the caller is its Admin.
    Created(GroupId),
    /// A user or group has that name.
    NameTaken,
    /// The caller has created as many groups as allowed.
    QuotaReached,
}

/// Outcome of a change of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembersChange {
    /// All of it was done. These workers do not serve the group any more, or not for everybody as before.
    Done(Vec<Uuid>),
    /// Nothing was done: there is no such user.
    UnknownUser(String),
    /// Nothing was done: the group would be left without an Admin.
    LastAdmin,
    /// Nothing was done: who asked is not Admin of the group.
    Denied,
}

/// Outcome of [`Groups::delete_group`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupDeletion {
    /// It is Deleted, and these tasks were cancelled. See [`Groups::continue_deletion`] for more.
    Deleted(Vec<Uuid>),
    /// Nothing was done: it is the personal group of a user.
    Personal,
    /// Nothing was done: who asked is not Admin of the group.
    Denied,
}

/// Groups and their members.
#[async_trait]
pub trait Groups {
    /// Makes a group with the caller as Admin, if the quota allows: one conditional update, so the
    /// quota holds under concurrent calls.
    async fn create_group(
        &self,
        creator: UserId,
        name: &Name,
        now: Timestamp,
    ) -> Result<GroupCreation, StoreError>;

    /// The group of that name.
    async fn group(&self, name: &str) -> Result<Option<Group>, StoreError>;

    /// What a user is to the group of that name.
    async fn membership(&self, user: UserId, group_name: &str) -> Result<Membership, StoreError>;

    /// Members by user name.
    async fn members(&self, group: GroupId) -> Result<BTreeMap<String, Role>, StoreError>;

    /// Groups of a user, by group name.
    async fn groups_of(&self, user: UserId) -> Result<BTreeMap<String, Role>, StoreError>;

    /// The same, without names and roles.
    async fn group_ids_of(&self, user: UserId) -> Result<Vec<GroupId>, StoreError>;

    /// Gives each named user the role, adding or changing memberships; all or nothing. Who is left with Read
    /// has no worker that serves the group any more; see [`Self::remove_members`].
    async fn set_members(
        &self,
        by: By,
        group: GroupId,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<MembersChange, StoreError>;

    /// Ends memberships; all or nothing. Users who exist but are not members are passed over. Workers that
    /// they registered, or put at the service of the group, serve it no more, and give back the tasks of
    /// the group that they hold.
    async fn remove_members(
        &self,
        by: By,
        group: GroupId,
        names: &[String],
        now: Timestamp,
    ) -> Result<MembersChange, StoreError>;

    /// Makes a group Deleted: nobody is a member any more, no worker serves it, its waiting tasks are
    /// cancelled, and it does not count for who made it. What it stores stays, and so does its name.
    async fn delete_group(&self, by: By, group: GroupId, now: Timestamp)
    -> Result<GroupDeletion, StoreError>;

    /// Up to `limit` deleted groups in which tasks may still wait: their deletion was cut off, or goes on.
    async fn unfinished_deletions(&self, limit: u32) -> Result<Vec<GroupId>, StoreError>;

    /// Cancels more of what waits in a deleted group, up to
    /// [`CANCEL_PORTION`](crate::ops::tasks::CANCEL_PORTION); answers which. None when nothing is left, and in a group
    /// that is not Deleted any more.
    async fn continue_deletion(&self, group: GroupId, now: Timestamp) -> Result<Vec<Uuid>, StoreError>;

    /// Makes a group Active again and gives users roles in it; all or nothing. It must have an Admin
    /// afterwards.
    async fn restore_group(
        &self,
        by: By,
        group: GroupId,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<MembersChange, StoreError>;

    /// Changes how many bytes a group may store; answers the quota in force.
    async fn change_storage_quota(
        &self,
        by: By,
        name: &str,
        change: QuotaChange,
        now: Timestamp,
    ) -> Result<Administered<i64>, StoreError>;
}
