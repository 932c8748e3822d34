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
use crate::ops::{Actor, Administered, Changed};

/// Outcome of [`Groups::create_group`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupCreation {
    /// The group was created, and the caller is its Admin.
    Created(GroupId),
    /// A user or group with this name exists.
    NameTaken,
    /// Refused: the caller has created as many groups as allowed.
    QuotaReached,
}

/// Outcome of a change of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembersChange {
    /// The change was made. These workers don't serve the group any more, or not for the same members.
    Done(Vec<Uuid>),
    /// Refused: this user does not exist.
    UnknownUser(String),
    /// Refused: the group would have no Admin.
    LastAdmin,
    /// Refused: the actor is not an Admin of the group.
    Denied,
}

/// Outcome of [`Groups::delete_group`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupDeletion {
    /// The group is Deleted, and these tasks were cancelled. See [`Groups::continue_deletion`] for the
    /// remaining ones.
    Deleted(Vec<Uuid>),
    /// Refused: it is the personal group of a user.
    Personal,
    /// Refused: the actor is not an Admin of the group.
    Denied,
}

/// Operations on groups and their members.
#[async_trait]
pub trait Groups {
    /// Creates a group with the caller as Admin, if the quota allows it. The quota is part of a conditional
    /// update, so it holds under concurrent calls.
    async fn create_group(
        &self,
        creator: UserId,
        name: &Name,
        now: Timestamp,
    ) -> Result<GroupCreation, StoreError>;

    /// Reads the group with this name.
    async fn group(&self, name: &str) -> Result<Option<Group>, StoreError>;

    /// Reads the relation of a user to the group with this name.
    async fn membership(&self, user: UserId, group_name: &str) -> Result<Membership, StoreError>;

    /// Reads the members of a group, by user name.
    async fn members(&self, group: GroupId) -> Result<BTreeMap<String, Role>, StoreError>;

    /// Reads the groups of a user, by group name.
    async fn groups_of(&self, user: UserId) -> Result<BTreeMap<String, Role>, StoreError>;

    /// Reads the ids of the groups of a user.
    async fn group_ids_of(&self, user: UserId) -> Result<Vec<GroupId>, StoreError>;

    /// Gives each named user the role; all or nothing. The workers of users who are reduced to Read don't serve
    /// the group any more; see [`Self::remove_members`].
    async fn set_members(
        &self,
        actor: Actor,
        group: GroupId,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<Changed<MembersChange>, StoreError>;

    /// Ends memberships; all or nothing. Users who exist but are not members are ignored. Workers that these
    /// users registered, or added to the group, don't serve it any more, and its tasks that they hold are
    /// requeued.
    async fn remove_members(
        &self,
        actor: Actor,
        group: GroupId,
        names: &[String],
        now: Timestamp,
    ) -> Result<Changed<MembersChange>, StoreError>;

    /// Sets the state of a group to Deleted. Its memberships end, no worker serves it, its waiting tasks are
    /// cancelled, and it doesn't count towards the quota of its creator. Its stored objects and its name stay.
    async fn delete_group(
        &self,
        actor: Actor,
        group: GroupId,
        now: Timestamp,
    ) -> Result<Changed<GroupDeletion>, StoreError>;

    /// Reads up to `limit` deleted groups in which tasks may wait, because their deletion was interrupted or
    /// continues.
    async fn unfinished_deletions(&self, limit: u32) -> Result<Vec<GroupId>, StoreError>;

    /// Cancels further waiting tasks of a deleted group, up to
    /// [`CANCEL_BATCH`](crate::ops::tasks::CANCEL_BATCH); returns them. There are none when the deletion is
    /// complete, or when the group is not Deleted any more.
    async fn continue_deletion(
        &self,
        group: GroupId,
        now: Timestamp,
    ) -> Result<Changed<Vec<Uuid>>, StoreError>;

    /// Sets the state of a group to Active and gives users roles in it; all or nothing. It must have an Admin
    /// afterwards.
    async fn restore_group(
        &self,
        actor: Actor,
        group: GroupId,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<Changed<MembersChange>, StoreError>;

    /// Sets the largest priority that members with the role Write may use; `None` for no bound. Waiting tasks keep their
    /// priorities. Returns false if the actor is not an Admin of the group.
    async fn set_write_priority(
        &self,
        actor: Actor,
        group: GroupId,
        most: Option<i32>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The largest priority that a member may use in a group; `None` without a bound.
    async fn priority_bound(&self, user: UserId, group: GroupId) -> Result<Option<i32>, StoreError>;

    /// Sets the weight of a group, by which its slot time is divided.
    async fn set_weight(
        &self,
        actor: Actor,
        name: &str,
        weight: u32,
        now: Timestamp,
    ) -> Result<Administered<()>, StoreError>;

    /// Changes the number of bytes that a group may store; returns the new quota.
    async fn change_storage_quota(
        &self,
        actor: Actor,
        name: &str,
        change: QuotaChange,
        now: Timestamp,
    ) -> Result<Administered<i64>, StoreError>;
}
