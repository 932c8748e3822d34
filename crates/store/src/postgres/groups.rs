//! Groups and their members.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mitosis_domain::account::{Group, Membership};
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::limits;
use mitosis_domain::name::Name;
use mitosis_domain::permission::Action;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{Role, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use super::accounts::name_is_taken;
use super::rights;
use super::row::{self, Columns, Db};
use super::tasks::cancel;
use super::workers::{end_service, lock_service};
use super::{PostgresStore, write};
use crate::StoreError;
use crate::code::Code;
use crate::ops::By;
use crate::ops::groups::{GroupCreation, GroupDeletion, Groups, MembersChange};
use crate::ops::query::TaskQuery;
use crate::ops::tasks::CancelSelection;

#[async_trait]
impl Groups for PostgresStore {
    async fn create_group(
        &self,
        creator: UserId,
        name: &Name,
        now: Timestamp,
    ) -> Result<GroupCreation, StoreError> {
        write!(self, tx => create_group(tx, creator, name, now))
    }

    async fn group(&self, name: &str) -> Result<Option<Group>, StoreError> {
        row::optional(&self.client().await?, GROUP_BY_NAME, &[&name], read_group).await
    }

    async fn membership(&self, user: UserId, group_name: &str) -> Result<Membership, StoreError> {
        let params: row::Params<'_> = &[&user.0, &group_name];
        let found = row::optional(&self.client().await?, MEMBERSHIP, params, read_membership).await?;
        Ok(found.unwrap_or(Membership::NoSuchGroup))
    }

    async fn members(&self, group: GroupId) -> Result<BTreeMap<String, Role>, StoreError> {
        members(&self.client().await?, group).await
    }

    async fn groups_of(&self, user: UserId) -> Result<BTreeMap<String, Role>, StoreError> {
        row::all(&self.client().await?, GROUPS_OF_USER, &[&user.0], read_relation).await
    }

    async fn group_ids_of(&self, user: UserId) -> Result<Vec<GroupId>, StoreError> {
        let read = |row: &Row| Ok(GroupId(row.try_get(0)?));
        row::all(&self.client().await?, GROUP_IDS_OF_USER, &[&user.0], read).await
    }

    async fn set_members(
        &self,
        by: By,
        group: GroupId,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<MembersChange, StoreError> {
        write!(self, tx => set_members(tx, by, group, relations, now))
    }

    async fn remove_members(
        &self,
        by: By,
        group: GroupId,
        names: &[String],
        now: Timestamp,
    ) -> Result<MembersChange, StoreError> {
        write!(self, tx => remove_members(tx, by, group, names, now))
    }

    async fn delete_group(
        &self,
        by: By,
        group: GroupId,
        now: Timestamp,
    ) -> Result<GroupDeletion, StoreError> {
        write!(self, tx => delete_group(tx, by, group, now))
    }

    async fn unfinished_deletions(&self, limit: u32) -> Result<Vec<GroupId>, StoreError> {
        let read = |row: &Row| Ok(GroupId(row.value("id")?));
        row::all(&self.client().await?, UNFINISHED_DELETIONS, &[&i64::from(limit)], read).await
    }

    async fn continue_deletion(&self, group: GroupId, now: Timestamp) -> Result<Vec<Uuid>, StoreError> {
        write!(self, tx => continue_deletion(tx, group, now))
    }

    async fn restore_group(
        &self,
        group: GroupId,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<MembersChange, StoreError> {
        write!(self, tx => restore_group(tx, group, relations, now))
    }

    async fn change_storage_quota(
        &self,
        name: &str,
        change: QuotaChange,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        write!(self, tx => change_storage_quota(tx, name, change, now))
    }
}

/// Counts only while the quota allows another one.
const COUNT_GROUP: &str = "
    UPDATE users SET group_count = group_count + 1, updated_at = $2
    WHERE id = $1 AND group_count < group_quota";

const SET_MEMBER: &str = "
    INSERT INTO membership (user_id, group_id, role)
    SELECT id, $2, $3 FROM users WHERE username = $1
    ON CONFLICT (user_id, group_id) DO UPDATE SET role = excluded.role";

pub(super) const ADD_MEMBER: &str = "INSERT INTO membership (user_id, group_id, role) VALUES ($1, $2, $3)";

async fn create_group(
    tx: &impl Db,
    creator: UserId,
    name: &Name,
    now: Timestamp,
) -> Result<GroupCreation, StoreError> {
    if name_is_taken(tx, name.as_str()).await? {
        return Ok(GroupCreation::NameTaken);
    }
    if row::run(tx, COUNT_GROUP, &[&creator.0, &now.unix_micros()]).await? == 0 {
        return Ok(GroupCreation::QuotaReached);
    }
    let group = insert_group(tx, creator, name, now).await?;
    row::run_one(tx, ADD_MEMBER, &[&creator.0, &group.0, &Role::Admin.code()]).await?;
    Ok(GroupCreation::Created(group))
}

const INSERT_GROUP: &str = "
    INSERT INTO groups (name, creator_id, state, task_count, storage_quota, storage_used, created_at, updated_at)
    VALUES ($1, $2, $3, 0, $4, 0, $5, $5)
    RETURNING id";

/// Makes a group without members.
pub(super) async fn insert_group(
    tx: &impl Db,
    creator: UserId,
    name: &Name,
    now: Timestamp,
) -> Result<GroupId, StoreError> {
    let state = AccountState::Active.code();
    let quota = limits::DEFAULT_STORAGE_QUOTA;
    let params: row::Params<'_> = &[&name.as_str(), &creator.0, &state, &quota, &now.unix_micros()];
    Ok(GroupId(row::one(tx, INSERT_GROUP, params, row::only).await?))
}

const GROUP_BY_NAME: &str = "
    SELECT g.id, g.name, u.username AS creator, g.state, g.task_count, g.storage_quota, g.storage_used,
           (SELECT count(*) FROM worker_group w WHERE w.group_id = g.id) AS worker_count,
           g.created_at, g.updated_at
    FROM groups g JOIN users u ON u.id = g.creator_id
    WHERE g.name = $1";

fn read_group(row: &Row) -> Result<Group, StoreError> {
    Ok(Group {
        id: GroupId(row.value("id")?),
        name: row.value("name")?,
        creator: row.value("creator")?,
        state: row.code("state")?,
        task_count: row.value("task_count")?,
        storage_quota: row.value("storage_quota")?,
        storage_used: row.value("storage_used")?,
        worker_count: row.value("worker_count")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

const MEMBERSHIP: &str = "
    SELECT g.id, m.role
    FROM groups g LEFT JOIN membership m ON m.group_id = g.id AND m.user_id = $1
    WHERE g.name = $2";

fn read_membership(row: &Row) -> Result<Membership, StoreError> {
    let group = GroupId(row.value("id")?);
    Ok(match row.optional_code("role")? {
        Some(role) => Membership::Member(group, role),
        None => Membership::Outsider(group),
    })
}

const MEMBERS: &str = "
    SELECT u.username AS name, m.role
    FROM membership m JOIN users u ON u.id = m.user_id
    WHERE m.group_id = $1";

const GROUPS_OF_USER: &str = "
    SELECT g.name, m.role
    FROM membership m JOIN groups g ON g.id = m.group_id
    WHERE m.user_id = $1";

const GROUP_IDS_OF_USER: &str = "SELECT group_id FROM membership WHERE user_id = $1";

async fn members(db: &impl Db, group: GroupId) -> Result<BTreeMap<String, Role>, StoreError> {
    row::all(db, MEMBERS, &[&group.0], read_relation).await
}

/// A name and a role.
pub(super) fn read_relation(row: &Row) -> Result<(String, Role), StoreError> {
    Ok((row.value("name")?, row.code("role")?))
}

/// The first name that no user has.
const UNKNOWN_USER: &str = "
    SELECT name FROM unnest($1::text[]) AS name
    WHERE NOT EXISTS (SELECT 1 FROM users WHERE username = name)
    LIMIT 1";

fn has_admin(members: &BTreeMap<String, Role>) -> bool {
    members.values().any(|role| *role == Role::Admin)
}

/// Changes of one group's members take turns, so that two of them can't each remove the other admin.
const TAKE_TURNS: &str = "SELECT id FROM groups WHERE id = $1 FOR UPDATE";

const TOUCH_GROUP: &str = "UPDATE groups SET updated_at = $2 WHERE id = $1";

async fn set_members(
    tx: &impl Db,
    by: By,
    group: GroupId,
    relations: &BTreeMap<String, Role>,
    now: Timestamp,
) -> Result<MembersChange, StoreError> {
    let names: Vec<&String> = relations.keys().collect();
    if let Some(name) = row::optional(tx, UNKNOWN_USER, &[&names], row::only).await? {
        return Ok(MembersChange::UnknownUser(name));
    }
    let demoted: Vec<&String> = relations
        .iter()
        .filter(|(_, role)| !Action::Serve.allowed_to(**role))
        .map(|(name, _)| name)
        .collect();
    let demoted = lock_workers_of(tx, group, &demoted).await?;
    row::one(tx, TAKE_TURNS, &[&group.0], |_| Ok(())).await?;
    if !rights::may(tx, by, group, Action::ManageMembers).await? {
        return Ok(MembersChange::Denied);
    }
    let mut after = members(tx, group).await?;
    after.extend(relations.clone());
    if !has_admin(&after) {
        return Ok(MembersChange::LastAdmin);
    }
    for (name, role) in relations {
        row::run_one(tx, SET_MEMBER, &[name, &group.0, &role.code()]).await?;
    }
    let workers = end_service(tx, group, &demoted, now).await?;
    row::run_one(tx, TOUCH_GROUP, &[&group.0, &now.unix_micros()]).await?;
    Ok(MembersChange::Done(workers))
}

const IDS_OF_USERS: &str = "SELECT id FROM users WHERE username = ANY($1)";

/// Locks the workers of users who are about to leave a group, since workers come before groups; answers the
/// users.
async fn lock_workers_of(
    tx: &impl Db,
    group: GroupId,
    names: &[impl AsRef<str> + Sync],
) -> Result<Vec<i64>, StoreError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let users: Vec<i64> = row::all(tx, IDS_OF_USERS, &[&names], row::only).await?;
    lock_service(tx, group, &users).await?;
    Ok(users)
}

const REMOVE_MEMBERS: &str = "
    DELETE FROM membership
    WHERE group_id = $2 AND user_id IN (SELECT id FROM users WHERE username = ANY($1))";

async fn remove_members(
    tx: &impl Db,
    by: By,
    group: GroupId,
    names: &[String],
    now: Timestamp,
) -> Result<MembersChange, StoreError> {
    if let Some(name) = row::optional(tx, UNKNOWN_USER, &[&names], row::only).await? {
        return Ok(MembersChange::UnknownUser(name));
    }
    let leaving = lock_workers_of(tx, group, names).await?;
    row::one(tx, TAKE_TURNS, &[&group.0], |_| Ok(())).await?;
    if !rights::may(tx, by, group, Action::ManageMembers).await? {
        return Ok(MembersChange::Denied);
    }
    let mut after = members(tx, group).await?;
    after.retain(|name, _| !names.contains(name));
    if !has_admin(&after) {
        return Ok(MembersChange::LastAdmin);
    }
    row::run(tx, REMOVE_MEMBERS, &[&names, &group.0]).await?;
    let workers = end_service(tx, group, &leaving, now).await?;
    row::run_one(tx, TOUCH_GROUP, &[&group.0, &now.unix_micros()]).await?;
    Ok(MembersChange::Done(workers))
}

const STORAGE_QUOTA: &str = "SELECT storage_quota FROM groups WHERE name = $1 FOR UPDATE";

const SET_STORAGE_QUOTA: &str = "UPDATE groups SET storage_quota = $2, updated_at = $3 WHERE name = $1";

async fn change_storage_quota(
    tx: &impl Db,
    name: &str,
    change: QuotaChange,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let Some(current) = row::optional(tx, STORAGE_QUOTA, &[&name], row::only).await? else {
        return Ok(None);
    };
    let quota = change.apply(current, i64::MAX);
    row::run_one(tx, SET_STORAGE_QUOTA, &[&name, &quota, &now.unix_micros()]).await?;
    Ok(Some(quota))
}

const IS_PERSONAL: &str = "
    SELECT EXISTS (SELECT 1 FROM groups JOIN users ON users.username = groups.name WHERE groups.id = $1)";

const SET_STATE: &str = "UPDATE groups SET state = $2, ending = $4, updated_at = $3 WHERE id = $1";

/// `$1` is the group.
const DELETE_RELATIONS: [&str; 2] =
    ["DELETE FROM membership WHERE group_id = $1", "DELETE FROM worker_group WHERE group_id = $1"];

const STATE: &str = "SELECT state FROM groups WHERE id = $1";

/// The personal group never goes, so the count stays above 0.
const COUNT_FOR_CREATOR: &str = "
    UPDATE users SET group_count = group_count + $2 WHERE id = (SELECT creator_id FROM groups WHERE id = $1)";

async fn delete_group(
    tx: &impl Db,
    by: By,
    group: GroupId,
    now: Timestamp,
) -> Result<GroupDeletion, StoreError> {
    // Submissions and tasks that come back hold the row, too: none slips in behind the cancellation.
    row::one(tx, TAKE_TURNS, &[&group.0], |_| Ok(())).await?;
    if !rights::may(tx, by, group, Action::ManageMembers).await? {
        return Ok(GroupDeletion::Denied);
    }
    if row::one(tx, IS_PERSONAL, &[&group.0], row::only).await? {
        return Ok(GroupDeletion::Personal);
    }
    if change_state(tx, group, AccountState::Deleted, now).await? != AccountState::Deleted {
        row::run_one(tx, COUNT_FOR_CREATOR, &[&group.0, &-1]).await?;
    }
    for delete in DELETE_RELATIONS {
        row::run(tx, delete, &[&group.0]).await?;
    }
    Ok(GroupDeletion::Deleted(cancel(tx, By::Site, &waiting(group), now).await?))
}

const UNFINISHED_DELETIONS: &str = "SELECT id FROM groups WHERE ending ORDER BY id LIMIT $1";

/// An administrator who makes the group active again waits, and ends it.
const IS_ENDING: &str = "SELECT ending FROM groups WHERE id = $1 FOR UPDATE";

const HAS_ENDED: &str = "UPDATE groups SET ending = FALSE WHERE id = $1";

async fn continue_deletion(tx: &impl Db, group: GroupId, now: Timestamp) -> Result<Vec<Uuid>, StoreError> {
    if row::optional(tx, IS_ENDING, &[&group.0], row::only).await? != Some(true) {
        return Ok(Vec::new());
    }
    let cancelled = cancel(tx, By::Site, &waiting(group), now).await?;
    if cancelled.is_empty() {
        row::run_one(tx, HAS_ENDED, &[&group.0]).await?;
    }
    Ok(cancelled)
}

fn waiting(group: GroupId) -> CancelSelection {
    CancelSelection::Matching(TaskQuery::all_of(group))
}

/// Sets the state of a locked group; answers the one before.
async fn change_state(
    tx: &impl Db,
    group: GroupId,
    state: AccountState,
    now: Timestamp,
) -> Result<AccountState, StoreError> {
    let before = row::one(tx, STATE, &[&group.0], |row| row.code("state")).await?;
    let ending = state == AccountState::Deleted;
    row::run_one(tx, SET_STATE, &[&group.0, &state.code(), &now.unix_micros(), &ending]).await?;
    Ok(before)
}

async fn restore_group(
    tx: &impl Db,
    group: GroupId,
    relations: &BTreeMap<String, Role>,
    now: Timestamp,
) -> Result<MembersChange, StoreError> {
    let change = set_members(tx, By::Site, group, relations, now).await?;
    if matches!(change, MembersChange::Done(_))
        && change_state(tx, group, AccountState::Active, now).await? == AccountState::Deleted
    {
        row::run_one(tx, COUNT_FOR_CREATOR, &[&group.0, &1]).await?;
    }
    Ok(change)
}
