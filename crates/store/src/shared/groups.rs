//! Groups and their members.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mitosis_domain::account::{Group, Membership};
use mitosis_domain::ids::{GroupId, JobId, UserId};
use mitosis_domain::limits;
use mitosis_domain::name::Name;
use mitosis_domain::permission::Action;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::job::StopCause;
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use super::accounts::{administered, name_is_taken};
use super::rights;
use super::schedules::PAUSE_ALL;
use super::tasks::cancel;
use super::workers::{lock_serving_workers, remove_serving_workers};
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, List, Params, Row, Sql, only, sql};
use crate::enum_codes::Code;
use crate::ops::groups::{GroupCreation, GroupDeletion, Groups, MembersChange};
use crate::ops::query::TaskQuery;
use crate::ops::tasks::CancelSelection;
use crate::ops::{Actor, Administered, Changed, Effects};

#[async_trait]
impl<B: Backend> Groups for B {
    async fn create_group(
        &self,
        creator: UserId,
        name: &Name,
        now: Timestamp,
    ) -> Result<GroupCreation, StoreError> {
        self.write((creator, name.clone(), now), |db, (creator, name, now)| {
            Box::pin(create_group(db, *creator, name, *now))
        })
        .await
    }

    async fn group(&self, name: &str) -> Result<Option<Group>, StoreError> {
        self.read(name.to_owned(), |db, name| {
            Box::pin(async move { db.optional(GROUP_BY_NAME, &[name], read_group).await })
        })
        .await
    }

    async fn membership(&self, user: UserId, group_name: &str) -> Result<Membership, StoreError> {
        self.read((user, group_name.to_owned()), |db, (user, group)| {
            Box::pin(async move { db.optional(MEMBERSHIP, &[&user.0, group], read_membership).await })
        })
        .await
        .map(|found| found.unwrap_or(Membership::NoSuchGroup))
    }

    async fn members(&self, group: GroupId) -> Result<BTreeMap<String, Role>, StoreError> {
        self.read(group, |db, group| Box::pin(members(db, *group))).await
    }

    async fn groups_of(&self, user: UserId) -> Result<BTreeMap<String, Role>, StoreError> {
        self.read(user, |db, user| {
            Box::pin(async move { db.all(GROUPS_OF_USER, &[&user.0], read_relation).await })
        })
        .await
    }

    async fn group_ids_of(&self, user: UserId) -> Result<Vec<GroupId>, StoreError> {
        self.read(user, |db, user| {
            Box::pin(async move { db.all(GROUP_IDS_OF_USER, &[&user.0], read_group_id).await })
        })
        .await
    }

    async fn set_members(
        &self,
        actor: Actor,
        group: GroupId,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<Changed<MembersChange>, StoreError> {
        self.write((actor, group, relations.clone(), now), |db, (actor, group, relations, now)| {
            Box::pin(set_members(db, *actor, *group, relations, *now))
        })
        .await
    }

    async fn remove_members(
        &self,
        actor: Actor,
        group: GroupId,
        names: &[String],
        now: Timestamp,
    ) -> Result<Changed<MembersChange>, StoreError> {
        self.write((actor, group, names.to_vec(), now), |db, (actor, group, names, now)| {
            Box::pin(remove_members(db, *actor, *group, names, *now))
        })
        .await
    }

    async fn delete_group(
        &self,
        actor: Actor,
        group: GroupId,
        now: Timestamp,
    ) -> Result<Changed<GroupDeletion>, StoreError> {
        self.write((actor, group, now), |db, (actor, group, now)| {
            Box::pin(delete_group(db, *actor, *group, *now))
        })
        .await
    }

    async fn unfinished_deletions(&self, limit: u32) -> Result<Vec<GroupId>, StoreError> {
        self.read(limit, |db, limit| {
            Box::pin(async move { db.all(UNFINISHED_DELETIONS, &[&i64::from(*limit)], read_group_id).await })
        })
        .await
    }

    async fn continue_deletion(
        &self,
        group: GroupId,
        now: Timestamp,
    ) -> Result<Changed<Vec<Uuid>>, StoreError> {
        self.write((group, now), |db, (group, now)| Box::pin(continue_deletion(db, *group, *now))).await
    }

    async fn restore_group(
        &self,
        actor: Actor,
        group: GroupId,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<Changed<MembersChange>, StoreError> {
        self.write((actor, group, relations.clone(), now), |db, (actor, group, relations, now)| {
            Box::pin(restore_group(db, *actor, *group, relations, *now))
        })
        .await
    }

    async fn set_write_priority(
        &self,
        actor: Actor,
        group: GroupId,
        most: Option<i32>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write((actor, group, most, now), |db, (actor, group, most, now)| {
            Box::pin(set_write_priority(db, *actor, *group, *most, *now))
        })
        .await
    }

    async fn priority_bound(&self, user: UserId, group: GroupId) -> Result<Option<i32>, StoreError> {
        self.read((user, group), |db, (user, group)| {
            Box::pin(rights::priority_bound(db, Actor::User(*user), *group))
        })
        .await
    }

    async fn set_weight(
        &self,
        actor: Actor,
        name: &str,
        weight: u32,
        now: Timestamp,
    ) -> Result<Administered<()>, StoreError> {
        self.write((actor, name.to_owned(), weight, now), |db, (actor, name, weight, now)| {
            Box::pin(administered(db, *actor, set_weight(db, name, *weight, *now)))
        })
        .await
    }

    async fn change_storage_quota(
        &self,
        actor: Actor,
        name: &str,
        change: QuotaChange,
        now: Timestamp,
    ) -> Result<Administered<i64>, StoreError> {
        self.write((actor, name.to_owned(), change, now), |db, (actor, name, change, now)| {
            Box::pin(administered(db, *actor, change_storage_quota(db, name, *change, *now)))
        })
        .await
    }
}

/// Counts the group only if the quota allows another one.
const COUNT_GROUP: Sql = sql!(
    "
    UPDATE users SET group_count = group_count + 1, updated_at = $2
    WHERE id = $1 AND group_count < group_quota"
);

const SET_MEMBER: Sql = sql!(
    "
    INSERT INTO membership (user_id, group_id, role)
    SELECT id, $2, $3 FROM users WHERE username = $1
    ON CONFLICT (user_id, group_id) DO UPDATE SET role = excluded.role"
);

pub(super) const ADD_MEMBER: Sql =
    sql!("INSERT INTO membership (user_id, group_id, role) VALUES ($1, $2, $3)");

async fn create_group(
    db: Db<'_>,
    creator: UserId,
    name: &Name,
    now: Timestamp,
) -> Result<GroupCreation, StoreError> {
    if name_is_taken(db, name.as_str()).await? {
        return Ok(GroupCreation::NameTaken);
    }
    if db.run(COUNT_GROUP, &[&creator.0, &now.unix_micros()]).await? == 0 {
        return Ok(GroupCreation::QuotaReached);
    }
    let group = insert_group(db, creator, name, now).await?;
    db.run_one(ADD_MEMBER, &[&creator.0, &group.0, &Role::Admin.code()]).await?;
    Ok(GroupCreation::Created(group))
}

const INSERT_GROUP: Sql = sql!("
    INSERT INTO groups (name, creator_id, state, task_count, storage_quota, storage_used, created_at, updated_at)
    VALUES ($1, $2, $3, 0, $4, 0, $5, $5)
    RETURNING id");

/// Inserts a group without members.
pub(super) async fn insert_group(
    db: Db<'_>,
    creator: UserId,
    name: &Name,
    now: Timestamp,
) -> Result<GroupId, StoreError> {
    let state = AccountState::Active.code();
    let quota = limits::DEFAULT_STORAGE_QUOTA;
    let params: Params<'_> = &[&name.as_str(), &creator.0, &state, &quota, &now.unix_micros()];
    Ok(GroupId(db.one(INSERT_GROUP, params, only).await?))
}

const GROUP_BY_NAME: Sql = sql!(
    "
    SELECT g.id, g.name, u.username AS creator, g.state, g.task_count, g.storage_quota, g.storage_used,
           g.write_priority, (SELECT count(*) FROM worker_group w WHERE w.group_id = g.id) AS worker_count,
           g.created_at, g.updated_at
    FROM groups g JOIN users u ON u.id = g.creator_id
    WHERE g.name = $1"
);

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
        write_priority: row.value("write_priority")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

const MEMBERSHIP: Sql = sql!(
    "
    SELECT g.id, m.role
    FROM groups g LEFT JOIN membership m ON m.group_id = g.id AND m.user_id = $1
    WHERE g.name = $2"
);

fn read_membership(row: &Row<'_>) -> Result<Membership, StoreError> {
    let group = GroupId(row.value("id")?);
    Ok(match row.optional_code("role")? {
        Some(role) => Membership::Member(group, role),
        None => Membership::Outsider(group),
    })
}

const MEMBERS: Sql = sql!(
    "
    SELECT u.username AS name, m.role
    FROM membership m JOIN users u ON u.id = m.user_id
    WHERE m.group_id = $1"
);

const GROUPS_OF_USER: Sql = sql!(
    "
    SELECT g.name, m.role
    FROM membership m JOIN groups g ON g.id = m.group_id
    WHERE m.user_id = $1"
);

const GROUP_IDS_OF_USER: Sql = sql!("SELECT group_id FROM membership WHERE user_id = $1");

fn read_group_id(row: &Row<'_>) -> Result<GroupId, StoreError> {
    row.get(0).map(GroupId)
}

async fn members(db: Db<'_>, group: GroupId) -> Result<BTreeMap<String, Role>, StoreError> {
    db.all(MEMBERS, &[&group.0], read_relation).await
}

/// Reads a name and a role.
pub(super) fn read_relation(row: &Row<'_>) -> Result<(String, Role), StoreError> {
    Ok((row.value("name")?, row.code("role")?))
}

/// The first name that is not the name of a user.
const UNKNOWN_USER: Sql = sql!(
    postgres: "
    SELECT name FROM unnest($1::text[]) AS name
    WHERE NOT EXISTS (SELECT 1 FROM users WHERE username = name)
    LIMIT 1",
    sqlite: "
    SELECT value FROM json_each(?1)
    WHERE NOT EXISTS (SELECT 1 FROM users WHERE username = value)
    LIMIT 1",
);

async fn unknown_user(db: Db<'_>, names: &[String]) -> Result<Option<String>, StoreError> {
    db.optional(UNKNOWN_USER, &[&List(names)], only).await
}

fn has_admin(members: &BTreeMap<String, Role>) -> bool {
    members.values().any(|role| *role == Role::Admin)
}

/// Serializes changes of the members of a group, so that two of them can't each remove the other admin.
const SERIALIZE: &str = "SELECT id FROM groups WHERE id = $1 FOR UPDATE";

const TOUCH_GROUP: Sql = sql!("UPDATE groups SET updated_at = $2 WHERE id = $1");

async fn set_members(
    db: Db<'_>,
    actor: Actor,
    group: GroupId,
    relations: &BTreeMap<String, Role>,
    now: Timestamp,
) -> Result<Changed<MembersChange>, StoreError> {
    let names: Vec<String> = relations.keys().cloned().collect();
    if let Some(name) = unknown_user(db, &names).await? {
        return Ok(Changed::nothing(MembersChange::UnknownUser(name)));
    }
    let demoted: Vec<&str> = relations
        .iter()
        .filter(|(_, role)| !Action::Serve.allowed_to(**role))
        .map(|(name, _)| name.as_str())
        .collect();
    let demoted = lock_workers_of(db, group, &demoted).await?;
    db.lock(SERIALIZE, &[&group.0]).await?;
    if !rights::may(db, actor, group, Action::ManageMembers).await? {
        return Ok(Changed::nothing(MembersChange::Denied));
    }
    let mut after = members(db, group).await?;
    after.extend(relations.clone());
    if !has_admin(&after) {
        return Ok(Changed::nothing(MembersChange::LastAdmin));
    }
    for (name, role) in relations {
        db.run_one(SET_MEMBER, &[name, &group.0, &role.code()]).await?;
    }
    let mut effects = Effects { memberships: true, ..Effects::default() };
    let workers = effects.keep(remove_serving_workers(db, group, &demoted, now).await?);
    db.run_one(TOUCH_GROUP, &[&group.0, &now.unix_micros()]).await?;
    Ok(effects.with(MembersChange::Done(workers)))
}

const IDS_OF_USERS: Sql = sql!("SELECT id FROM users WHERE username = ANY($1)");

/// Locks the workers of the users who leave a group, since workers are locked before groups; returns the ids of
/// the users.
async fn lock_workers_of(db: Db<'_>, group: GroupId, names: &[&str]) -> Result<Vec<i64>, StoreError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let users: Vec<i64> = db.all(IDS_OF_USERS, &[&List(names)], only).await?;
    lock_serving_workers(db, group, &users).await?;
    Ok(users)
}

const REMOVE_MEMBERS: Sql = sql!(
    "
    DELETE FROM membership
    WHERE group_id = $2 AND user_id IN (SELECT id FROM users WHERE username = ANY($1))"
);

async fn remove_members(
    db: Db<'_>,
    actor: Actor,
    group: GroupId,
    names: &[String],
    now: Timestamp,
) -> Result<Changed<MembersChange>, StoreError> {
    if let Some(name) = unknown_user(db, names).await? {
        return Ok(Changed::nothing(MembersChange::UnknownUser(name)));
    }
    let leaving: Vec<&str> = names.iter().map(String::as_str).collect();
    let leaving = lock_workers_of(db, group, &leaving).await?;
    db.lock(SERIALIZE, &[&group.0]).await?;
    if !rights::may(db, actor, group, Action::ManageMembers).await? {
        return Ok(Changed::nothing(MembersChange::Denied));
    }
    let mut after = members(db, group).await?;
    after.retain(|name, _| !names.contains(name));
    if !has_admin(&after) {
        return Ok(Changed::nothing(MembersChange::LastAdmin));
    }
    db.run(REMOVE_MEMBERS, &[&List(names), &group.0]).await?;
    let mut effects = Effects { memberships: true, ..Effects::default() };
    let workers = effects.keep(remove_serving_workers(db, group, &leaving, now).await?);
    db.run_one(TOUCH_GROUP, &[&group.0, &now.unix_micros()]).await?;
    Ok(effects.with(MembersChange::Done(workers)))
}

const SET_WRITE_PRIORITY: Sql = sql!("UPDATE groups SET write_priority = $2, updated_at = $3 WHERE id = $1");

async fn set_write_priority(
    db: Db<'_>,
    actor: Actor,
    group: GroupId,
    most: Option<i32>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if !rights::may(db, actor, group, Action::ManageLimits).await? {
        return Ok(false);
    }
    db.run_one(SET_WRITE_PRIORITY, &[&group.0, &most, &now.unix_micros()]).await?;
    Ok(true)
}

const SET_WEIGHT: Sql = sql!("UPDATE groups SET weight = $2, updated_at = $3 WHERE name = $1");

async fn set_weight(db: Db<'_>, name: &str, weight: u32, now: Timestamp) -> Result<Option<()>, StoreError> {
    let weight = i32::try_from(weight).unwrap_or(i32::MAX);
    let changed = db.run(SET_WEIGHT, &[&name, &weight, &now.unix_micros()]).await?;
    Ok((changed > 0).then_some(()))
}

const STORAGE_QUOTA: Sql = sql!("SELECT storage_quota FROM groups WHERE name = $1 FOR UPDATE");

const SET_STORAGE_QUOTA: Sql = sql!("UPDATE groups SET storage_quota = $2, updated_at = $3 WHERE name = $1");

async fn change_storage_quota(
    db: Db<'_>,
    name: &str,
    change: QuotaChange,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let Some(current) = db.optional(STORAGE_QUOTA, &[&name], only).await? else {
        return Ok(None);
    };
    let quota = change.apply(current, i64::MAX);
    db.run_one(SET_STORAGE_QUOTA, &[&name, &quota, &now.unix_micros()]).await?;
    Ok(Some(quota))
}

const IS_PERSONAL: Sql = sql!(
    "
    SELECT EXISTS (SELECT 1 FROM groups JOIN users ON users.username = groups.name WHERE groups.id = $1)"
);

const SET_STATE: Sql = sql!("UPDATE groups SET state = $2, ending = $4, updated_at = $3 WHERE id = $1");

/// The deletions of memberships and of the group's workers; `$1` is the group.
const DELETE_RELATIONS: [Sql; 2] = [
    sql!("DELETE FROM membership WHERE group_id = $1"),
    sql!("DELETE FROM worker_group WHERE group_id = $1"),
];

const STATE: Sql = sql!("SELECT state FROM groups WHERE id = $1");

/// No more tasks are written for the jobs of a deleted group.
const STOP_JOBS: Sql = sql!(
    "
    UPDATE job SET stop_cause = $2, updated_at = $3
    WHERE group_id = $1 AND ended_at IS NULL AND stop_cause IS NULL
    RETURNING id"
);

/// The personal group is never deleted, so the count stays above 0.
const COUNT_FOR_CREATOR: Sql = sql!(
    "
    UPDATE users SET group_count = group_count + $2 WHERE id = (SELECT creator_id FROM groups WHERE id = $1)"
);

async fn delete_group(
    db: Db<'_>,
    actor: Actor,
    group: GroupId,
    now: Timestamp,
) -> Result<Changed<GroupDeletion>, StoreError> {
    // Submissions and requeues lock the row, too, so no new task can be missed by the cancellation.
    db.lock(SERIALIZE, &[&group.0]).await?;
    if !rights::may(db, actor, group, Action::ManageMembers).await? {
        return Ok(Changed::nothing(GroupDeletion::Denied));
    }
    if db.one(IS_PERSONAL, &[&group.0], only).await? {
        return Ok(Changed::nothing(GroupDeletion::Personal));
    }
    if change_state(db, group, AccountState::Deleted, now).await? != AccountState::Deleted {
        db.run_one(COUNT_FOR_CREATOR, &[&group.0, &-1]).await?;
    }
    for delete in DELETE_RELATIONS {
        db.run(delete, &[&group.0]).await?;
    }
    // Workers that served it may run less than before.
    let mut effects = Effects { memberships: true, ..Effects::ready() };
    let stop: Params<'_> = &[&group.0, &StopCause::Cancelled.code(), &now.unix_micros()];
    db.run(PAUSE_ALL, &[&group.0, &now.unix_micros()]).await?;
    effects.jobs = db.all(STOP_JOBS, stop, |row| row.get(0).map(JobId)).await?;
    let cancelled = effects.keep(cancel(db, Actor::System, &waiting(group), now).await?);
    Ok(effects.with(GroupDeletion::Deleted(cancelled)))
}

const UNFINISHED_DELETIONS: Sql = sql!(
    postgres: "SELECT id FROM groups WHERE ending ORDER BY id LIMIT $1",
    // The condition is written as in the index, so that the index is used.
    sqlite: "SELECT id FROM groups WHERE ending = 1 ORDER BY id LIMIT ?1",
);

/// Locks the group, so that a concurrent restoration waits and ends the deletion afterwards.
const IS_ENDING: Sql = sql!("SELECT ending FROM groups WHERE id = $1 FOR UPDATE");

const HAS_ENDED: Sql = sql!("UPDATE groups SET ending = FALSE WHERE id = $1");

async fn continue_deletion(
    db: Db<'_>,
    group: GroupId,
    now: Timestamp,
) -> Result<Changed<Vec<Uuid>>, StoreError> {
    if db.optional(IS_ENDING, &[&group.0], only).await? != Some(true) {
        return Ok(Changed::nothing(Vec::new()));
    }
    let mut effects = Effects::default();
    let cancelled = effects.keep(cancel(db, Actor::System, &waiting(group), now).await?);
    if cancelled.is_empty() {
        db.run_one(HAS_ENDED, &[&group.0]).await?;
    }
    Ok(effects.with(cancelled))
}

fn waiting(group: GroupId) -> CancelSelection {
    CancelSelection::Matching(TaskQuery::all_of(group))
}

/// Sets the state of a locked group; returns the previous one.
async fn change_state(
    db: Db<'_>,
    group: GroupId,
    state: AccountState,
    now: Timestamp,
) -> Result<AccountState, StoreError> {
    let before = db.one(STATE, &[&group.0], |row| row.code("state")).await?;
    let ending = state == AccountState::Deleted;
    db.run_one(SET_STATE, &[&group.0, &state.code(), &now.unix_micros(), &ending]).await?;
    Ok(before)
}

async fn restore_group(
    db: Db<'_>,
    actor: Actor,
    group: GroupId,
    relations: &BTreeMap<String, Role>,
    now: Timestamp,
) -> Result<Changed<MembersChange>, StoreError> {
    if !rights::is_administrator(db, actor).await? {
        return Ok(Changed::nothing(MembersChange::Denied));
    }
    let mut effects = Effects::default();
    let change = effects.keep(set_members(db, Actor::System, group, relations, now).await?);
    if matches!(change, MembersChange::Done(_))
        && change_state(db, group, AccountState::Active, now).await? == AccountState::Deleted
    {
        db.run_one(COUNT_FOR_CREATOR, &[&group.0, &1]).await?;
    }
    Ok(effects.with(change))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::{assert_searches, steps};

    #[test]
    fn sqlite_finds_deletions_by_their_index() {
        assert_eq!(steps(UNFINISHED_DELETIONS), ["SCAN groups USING COVERING INDEX groups_ending"]);
        assert_searches(MEMBERS, &["m", "u"]);
    }
}
