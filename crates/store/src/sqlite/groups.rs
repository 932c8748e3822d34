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
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::SqliteStore;
use super::accounts::name_is_taken;
use super::rights;
use super::row::{Columns, Run};
use super::tasks::cancel;
use super::workers::end_service;
use crate::StoreError;
use crate::code::Code;
use crate::ops::By;
use crate::ops::groups::{GroupCreation, GroupDeletion, Groups, MembersChange};
use crate::ops::query::TaskQuery;
use crate::ops::tasks::CancelSelection;

#[async_trait]
impl Groups for SqliteStore {
    async fn create_group(
        &self,
        creator: UserId,
        name: &Name,
        now: Timestamp,
    ) -> Result<GroupCreation, StoreError> {
        let name = name.clone();
        self.write(move |db| create_group(db, creator, &name, now)).await
    }

    async fn group(&self, name: &str) -> Result<Option<Group>, StoreError> {
        let name = name.to_owned();
        self.read(move |db| db.optional(GROUP_BY_NAME, [name], read_group)).await
    }

    async fn membership(&self, user: UserId, group_name: &str) -> Result<Membership, StoreError> {
        let group_name = group_name.to_owned();
        self.read(move |db| {
            let found = db.optional(MEMBERSHIP, params![user.0, group_name], read_membership)?;
            Ok(found.unwrap_or(Membership::NoSuchGroup))
        })
        .await
    }

    async fn members(&self, group: GroupId) -> Result<BTreeMap<String, Role>, StoreError> {
        self.read(move |db| members(db, group)).await
    }

    async fn groups_of(&self, user: UserId) -> Result<BTreeMap<String, Role>, StoreError> {
        self.read(move |db| db.all(GROUPS_OF_USER, [user.0], read_relation)).await
    }

    async fn group_ids_of(&self, user: UserId) -> Result<Vec<GroupId>, StoreError> {
        self.read(move |db| db.all(GROUP_IDS_OF_USER, [user.0], |row| Ok(GroupId(row.get(0)?)))).await
    }

    async fn set_members(
        &self,
        by: By,
        group: GroupId,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<MembersChange, StoreError> {
        let relations = relations.clone();
        self.write(move |db| set_members(db, by, group, &relations, now)).await
    }

    async fn remove_members(
        &self,
        by: By,
        group: GroupId,
        names: &[String],
        now: Timestamp,
    ) -> Result<MembersChange, StoreError> {
        let names = names.to_vec();
        self.write(move |db| remove_members(db, by, group, &names, now)).await
    }

    async fn delete_group(
        &self,
        by: By,
        group: GroupId,
        now: Timestamp,
    ) -> Result<GroupDeletion, StoreError> {
        self.write(move |db| delete_group(db, by, group, now)).await
    }

    async fn unfinished_deletions(&self, limit: u32) -> Result<Vec<GroupId>, StoreError> {
        self.read(move |db| db.all(UNFINISHED_DELETIONS, [limit], |row| Ok(GroupId(row.get(0)?)))).await
    }

    async fn continue_deletion(&self, group: GroupId, now: Timestamp) -> Result<Vec<Uuid>, StoreError> {
        self.write(move |db| continue_deletion(db, group, now)).await
    }

    async fn restore_group(
        &self,
        group: GroupId,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<MembersChange, StoreError> {
        let relations = relations.clone();
        self.write(move |db| restore_group(db, group, &relations, now)).await
    }

    async fn change_storage_quota(
        &self,
        name: &str,
        change: QuotaChange,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let name = name.to_owned();
        self.write(move |db| change_storage_quota(db, &name, change, now)).await
    }
}

/// Counts only while the quota allows another one.
const COUNT_GROUP: &str = "
    UPDATE users SET group_count = group_count + 1, updated_at = ?2
    WHERE id = ?1 AND group_count < group_quota";

const SET_MEMBER: &str = "
    INSERT INTO membership (user_id, group_id, role)
    SELECT id, ?2, ?3 FROM users WHERE username = ?1
    ON CONFLICT (user_id, group_id) DO UPDATE SET role = excluded.role";

const ADD_CREATOR: &str = "INSERT INTO membership (user_id, group_id, role) VALUES (?1, ?2, ?3)";

fn create_group(
    db: &Connection,
    creator: UserId,
    name: &Name,
    now: Timestamp,
) -> Result<GroupCreation, StoreError> {
    if name_is_taken(db, name.as_str())? {
        return Ok(GroupCreation::NameTaken);
    }
    if db.run(COUNT_GROUP, params![creator.0, now.unix_micros()])? == 0 {
        return Ok(GroupCreation::QuotaReached);
    }
    let group = insert_group(db, creator, name, now)?;
    db.run_one(ADD_CREATOR, params![creator.0, group.0, Role::Admin.code()])?;
    Ok(GroupCreation::Created(group))
}

const INSERT_GROUP: &str = "
    INSERT INTO groups (name, creator_id, state, task_count, storage_quota, storage_used, created_at, updated_at)
    VALUES (?1, ?2, ?3, 0, ?4, 0, ?5, ?5)";

/// Makes a group without members.
pub(super) fn insert_group(
    db: &Connection,
    creator: UserId,
    name: &Name,
    now: Timestamp,
) -> Result<GroupId, StoreError> {
    let state = AccountState::Active.code();
    let quota = limits::DEFAULT_STORAGE_QUOTA;
    db.insert(INSERT_GROUP, params![name.as_str(), creator.0, state, quota, now.unix_micros()]).map(GroupId)
}

const GROUP_BY_NAME: &str = "
    SELECT g.id, g.name, u.username AS creator, g.state, g.task_count, g.storage_quota, g.storage_used,
           (SELECT count(*) FROM worker_group w WHERE w.group_id = g.id) AS worker_count,
           g.created_at, g.updated_at
    FROM groups g JOIN users u ON u.id = g.creator_id
    WHERE g.name = ?1";

fn read_group(row: &Row<'_>) -> Result<Group, StoreError> {
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
    FROM groups g LEFT JOIN membership m ON m.group_id = g.id AND m.user_id = ?1
    WHERE g.name = ?2";

fn read_membership(row: &Row<'_>) -> Result<Membership, StoreError> {
    let group = GroupId(row.value("id")?);
    Ok(match row.optional_code("role")? {
        Some(role) => Membership::Member(group, role),
        None => Membership::Outsider(group),
    })
}

const MEMBERS: &str = "
    SELECT u.username AS name, m.role
    FROM membership m JOIN users u ON u.id = m.user_id
    WHERE m.group_id = ?1";

const GROUPS_OF_USER: &str = "
    SELECT g.name, m.role
    FROM membership m JOIN groups g ON g.id = m.group_id
    WHERE m.user_id = ?1";

const GROUP_IDS_OF_USER: &str = "SELECT group_id FROM membership WHERE user_id = ?1";

fn members(db: &Connection, group: GroupId) -> Result<BTreeMap<String, Role>, StoreError> {
    db.all(MEMBERS, [group.0], read_relation)
}

/// A name and a role.
pub(super) fn read_relation(row: &Row<'_>) -> Result<(String, Role), StoreError> {
    Ok((row.value("name")?, row.code("role")?))
}

const USER_EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE username = ?1)";

/// The first name that no user has.
fn unknown_user<'a>(
    db: &Connection,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<Option<String>, StoreError> {
    for name in names {
        if !db.one(USER_EXISTS, [name], |row| Ok(row.get::<_, bool>(0)?))? {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

fn has_admin(members: &BTreeMap<String, Role>) -> bool {
    members.values().any(|role| *role == Role::Admin)
}

const TOUCH_GROUP: &str = "UPDATE groups SET updated_at = ?2 WHERE id = ?1";

fn set_members(
    db: &Connection,
    by: By,
    group: GroupId,
    relations: &BTreeMap<String, Role>,
    now: Timestamp,
) -> Result<MembersChange, StoreError> {
    if let Some(name) = unknown_user(db, relations.keys())? {
        return Ok(MembersChange::UnknownUser(name));
    }
    if !rights::may(db, by, group, Action::ManageMembers)? {
        return Ok(MembersChange::Denied);
    }
    let mut after = members(db, group)?;
    after.extend(relations.clone());
    if !has_admin(&after) {
        return Ok(MembersChange::LastAdmin);
    }
    for (name, role) in relations {
        db.run_one(SET_MEMBER, params![name, group.0, role.code()])?;
    }
    let demoted = relations.iter().filter(|(_, role)| !Action::Serve.allowed_to(**role));
    let demoted = ids_of_users(db, demoted.map(|(name, _)| name))?;
    let workers = end_service(db, group, &demoted, now)?;
    db.run_one(TOUCH_GROUP, params![group.0, now.unix_micros()])?;
    Ok(MembersChange::Done(workers))
}

const ID_OF_USER: &str = "SELECT id FROM users WHERE username = ?1";

fn ids_of_users<'a>(
    db: &Connection,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<i64>, StoreError> {
    names.into_iter().map(|name| db.one(ID_OF_USER, [name], |row| Ok(row.get(0)?))).collect()
}

const REMOVE_MEMBER: &str = "
    DELETE FROM membership
    WHERE group_id = ?2 AND user_id = (SELECT id FROM users WHERE username = ?1)";

fn remove_members(
    db: &Connection,
    by: By,
    group: GroupId,
    names: &[String],
    now: Timestamp,
) -> Result<MembersChange, StoreError> {
    if let Some(name) = unknown_user(db, names)? {
        return Ok(MembersChange::UnknownUser(name));
    }
    if !rights::may(db, by, group, Action::ManageMembers)? {
        return Ok(MembersChange::Denied);
    }
    let mut after = members(db, group)?;
    after.retain(|name, _| !names.contains(name));
    if !has_admin(&after) {
        return Ok(MembersChange::LastAdmin);
    }
    for name in names {
        db.run(REMOVE_MEMBER, params![name, group.0])?;
    }
    let workers = end_service(db, group, &ids_of_users(db, names)?, now)?;
    db.run_one(TOUCH_GROUP, params![group.0, now.unix_micros()])?;
    Ok(MembersChange::Done(workers))
}

const STORAGE_QUOTA: &str = "SELECT storage_quota FROM groups WHERE name = ?1";

const SET_STORAGE_QUOTA: &str = "UPDATE groups SET storage_quota = ?2, updated_at = ?3 WHERE name = ?1";

fn change_storage_quota(
    db: &Connection,
    name: &str,
    change: QuotaChange,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let Some(current) = db.optional(STORAGE_QUOTA, [name], |row| Ok(row.get(0)?))? else {
        return Ok(None);
    };
    let quota = change.apply(current, i64::MAX);
    db.run_one(SET_STORAGE_QUOTA, params![name, quota, now.unix_micros()])?;
    Ok(Some(quota))
}

const IS_PERSONAL: &str = "
    SELECT EXISTS (SELECT 1 FROM groups JOIN users ON users.username = groups.name WHERE groups.id = ?1)";

const SET_STATE: &str = "UPDATE groups SET state = ?2, ending = ?4, updated_at = ?3 WHERE id = ?1";

/// `?1` is the group.
const DELETE_RELATIONS: [&str; 2] =
    ["DELETE FROM membership WHERE group_id = ?1", "DELETE FROM worker_group WHERE group_id = ?1"];

const STATE: &str = "SELECT state FROM groups WHERE id = ?1";

/// The personal group never goes, so the count stays above 0.
const COUNT_FOR_CREATOR: &str = "
    UPDATE users SET group_count = group_count + ?2 WHERE id = (SELECT creator_id FROM groups WHERE id = ?1)";

fn delete_group(
    db: &Connection,
    by: By,
    group: GroupId,
    now: Timestamp,
) -> Result<GroupDeletion, StoreError> {
    if !rights::may(db, by, group, Action::ManageMembers)? {
        return Ok(GroupDeletion::Denied);
    }
    if db.one(IS_PERSONAL, [group.0], |row| Ok(row.get(0)?))? {
        return Ok(GroupDeletion::Personal);
    }
    if change_state(db, group, AccountState::Deleted, now)? != AccountState::Deleted {
        db.run_one(COUNT_FOR_CREATOR, params![group.0, -1])?;
    }
    for delete in DELETE_RELATIONS {
        db.run(delete, [group.0])?;
    }
    Ok(GroupDeletion::Deleted(cancel(db, By::Site, &waiting(group), now)?))
}

const UNFINISHED_DELETIONS: &str = "SELECT id FROM groups WHERE ending = 1 ORDER BY id LIMIT ?1";

const IS_ENDING: &str = "SELECT ending FROM groups WHERE id = ?1";

const HAS_ENDED: &str = "UPDATE groups SET ending = 0 WHERE id = ?1";

fn continue_deletion(db: &Connection, group: GroupId, now: Timestamp) -> Result<Vec<Uuid>, StoreError> {
    if db.optional(IS_ENDING, [group.0], |row| Ok(row.get(0)?))? != Some(true) {
        return Ok(Vec::new());
    }
    let cancelled = cancel(db, By::Site, &waiting(group), now)?;
    if cancelled.is_empty() {
        db.run_one(HAS_ENDED, [group.0])?;
    }
    Ok(cancelled)
}

fn waiting(group: GroupId) -> CancelSelection {
    CancelSelection::Matching(TaskQuery::all_of(group))
}

/// Sets the state of a group; answers the one before.
fn change_state(
    db: &Connection,
    group: GroupId,
    state: AccountState,
    now: Timestamp,
) -> Result<AccountState, StoreError> {
    let before = db.one(STATE, [group.0], |row| row.code("state"))?;
    let ending = state == AccountState::Deleted;
    db.run_one(SET_STATE, params![group.0, state.code(), now.unix_micros(), ending])?;
    Ok(before)
}

fn restore_group(
    db: &Connection,
    group: GroupId,
    relations: &BTreeMap<String, Role>,
    now: Timestamp,
) -> Result<MembersChange, StoreError> {
    let change = set_members(db, By::Site, group, relations, now)?;
    if matches!(change, MembersChange::Done(_))
        && change_state(db, group, AccountState::Active, now)? == AccountState::Deleted
    {
        db.run_one(COUNT_FOR_CREATOR, params![group.0, 1])?;
    }
    Ok(change)
}
