//! The groups of a worker, and their roles on it.

use std::collections::BTreeMap;

use mitosis_domain::account::Membership;
use mitosis_domain::ids::{GroupId, WorkerId};
use mitosis_domain::permission::Action;
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use super::super::dispatch::lease::{self, Lease};
use super::super::dispatch::requeue::requeue;
use super::super::groups::read_relation;
use super::super::rights;
use super::edit::touch;
use super::lock::lock_by_uuid;
use crate::StoreError;
use crate::db::{Db, List, Sql, only, sql};
use crate::enum_codes::Code;
use crate::ops::workers::{Fate, WorkerGroupsChange};
use crate::ops::{Actor, Changed, Effects};

const GROUPS_OF_WORKER: Sql = sql!(
    "
    SELECT g.name, w.role
    FROM worker_group w JOIN groups g ON g.id = w.group_id
    WHERE w.worker_id = $1"
);

/// The groups of a worker, by name.
pub(super) async fn of_worker(db: Db<'_>, worker: WorkerId) -> Result<BTreeMap<String, Role>, StoreError> {
    db.all(GROUPS_OF_WORKER, &[&worker.0], read_relation).await
}

const GROUP_ID: Sql = sql!("SELECT id FROM groups WHERE name = $1");

/// The ids of groups, or the first name that doesn't exist.
async fn resolve<'a>(
    db: Db<'_>,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<Result<Vec<GroupId>, String>, StoreError> {
    let mut ids = Vec::new();
    for name in names {
        match db.optional(GROUP_ID, &[name], only).await? {
            Some(id) => ids.push(GroupId(id)),
            None => return Ok(Err(name.clone())),
        }
    }
    Ok(Ok(ids))
}

const ROLE_ON_WORKER: Sql = sql!("SELECT role FROM worker_group WHERE worker_id = $1 AND group_id = $2");

const SET_GROUP: Sql = sql!(
    "
    INSERT INTO worker_group (worker_id, group_id, role, granted_by) VALUES ($1, $2, $3, $4)
    ON CONFLICT (worker_id, group_id) DO UPDATE SET
        -- A user who lowers a role does not become responsible for it.
        granted_by = CASE WHEN excluded.role > worker_group.role THEN excluded.granted_by
                          ELSE worker_group.granted_by END,
        role = excluded.role"
);

/// Sets the role of each group; all or nothing.
pub(super) async fn set(
    db: Db<'_>,
    actor: Actor,
    uuid: Uuid,
    relations: &BTreeMap<String, Role>,
    now: Timestamp,
) -> Result<Changed<WorkerGroupsChange>, StoreError> {
    let Some(worker) = lock_by_uuid(db, uuid).await? else {
        return Ok(Changed::nothing(WorkerGroupsChange::UnknownWorker));
    };
    if !rights::controls(db, actor, worker).await? {
        return Ok(Changed::nothing(WorkerGroupsChange::NotInControl));
    }
    let groups = match resolve(db, relations.keys().collect::<Vec<_>>()).await? {
        Ok(groups) => groups,
        Err(name) => return Ok(Changed::nothing(WorkerGroupsChange::UnknownGroup(name))),
    };
    for (group, (name, role)) in groups.iter().zip(relations) {
        let before: Option<Role> =
            db.optional(ROLE_ON_WORKER, &[&worker.0, &group.0], |row| row.code("role")).await?;
        let membership = rights::membership(db, actor, *group).await?;
        if before.is_none_or(|before| *role > before) && !may_serve(membership) {
            return Ok(Changed::nothing(WorkerGroupsChange::MayNotServe(name.clone(), membership)));
        }
    }
    for (group, role) in groups.into_iter().zip(relations.values()) {
        db.run_one(SET_GROUP, &[&worker.0, &group.0, &role.code(), &actor.code()]).await?;
    }
    touch(db, worker, now).await?;
    Ok(Effects::ready().with(WorkerGroupsChange::Done))
}

fn may_serve(membership: Membership) -> bool {
    matches!(membership, Membership::Member(_, role) if Action::Serve.allowed_to(role))
}

const REMOVE_GROUP: Sql = sql!("DELETE FROM worker_group WHERE worker_id = $1 AND group_id = $2");

/// Removes each group from the worker; all or nothing.
pub(super) async fn remove(
    db: Db<'_>,
    actor: Actor,
    uuid: Uuid,
    names: &[String],
    now: Timestamp,
) -> Result<Changed<WorkerGroupsChange>, StoreError> {
    let Some(worker) = lock_by_uuid(db, uuid).await? else {
        return Ok(Changed::nothing(WorkerGroupsChange::UnknownWorker));
    };
    let groups = match resolve(db, names).await? {
        Ok(groups) => groups,
        Err(name) => return Ok(Changed::nothing(WorkerGroupsChange::UnknownGroup(name))),
    };
    let controls = rights::controls(db, actor, worker).await?;
    for group in &groups {
        if !controls && !rights::may(db, actor, *group, Action::ControlWorkers).await? {
            return Ok(Changed::nothing(WorkerGroupsChange::NotInControl));
        }
    }
    let mut effects = Effects { workers: vec![uuid], ..Effects::ready() };
    for group in groups {
        db.run(REMOVE_GROUP, &[&worker.0, &group.0]).await?;
        if !controls {
            effects.add(requeue_held(db, worker, group, now).await?);
        }
    }
    touch(db, worker, now).await?;
    Ok(effects.with(WorkerGroupsChange::Done))
}

const LEASES_OF_GROUP: Sql = sql!(
    "
    SELECT l.task_id, l.worker_id, l.epoch, l.token, l.losses, l.claimed_at, l.reported_end
    FROM lease l INNER JOIN task t ON t.id = l.task_id
    WHERE l.worker_id = $1 AND t.group_id = $2 ORDER BY l.claimed_at, l.task_id"
);

/// Requeues the tasks of a group that a locked worker holds.
async fn requeue_held(
    db: Db<'_>,
    worker: WorkerId,
    group: GroupId,
    now: Timestamp,
) -> Result<Effects, StoreError> {
    let mut effects = Effects::default();
    let held: Vec<Lease> = db.all(LEASES_OF_GROUP, &[&worker.0, &group.0], lease::read).await?;
    for lease in &held {
        effects.keep(requeue(db, lease, Fate::Returned, now).await?);
    }
    Ok(effects)
}

const WORKERS_OF_MEMBERS: Sql = sql!(
    "
    SELECT w.id, w.uuid FROM worker w
    WHERE EXISTS (SELECT 1 FROM worker_group g
                  WHERE g.worker_id = w.id AND g.group_id = $1
                    AND (w.creator_id = ANY($2) OR g.granted_by = ANY($2)))
       OR (w.creator_id = ANY($2)
           AND EXISTS (SELECT 1 FROM lease l INNER JOIN task t ON t.id = l.task_id
                       WHERE l.worker_id = w.id AND t.group_id = $1))
    ORDER BY w.id
    FOR UPDATE OF w"
);

/// Locks the workers with which users serve a group: those that they registered, and those that they added to
/// the group.
pub(crate) async fn lock_serving_workers(
    db: Db<'_>,
    group: GroupId,
    users: &[i64],
) -> Result<Vec<(WorkerId, Uuid)>, StoreError> {
    db.all(WORKERS_OF_MEMBERS, &[&group.0, &List(users)], |row| {
        Ok((WorkerId(row.value("id")?), row.value("uuid")?))
    })
    .await
}

/// Removes these workers from the group, and requeues its tasks; returns the workers.
pub(crate) async fn remove_serving_workers(
    db: Db<'_>,
    group: GroupId,
    users: &[i64],
    now: Timestamp,
) -> Result<Changed<Vec<Uuid>>, StoreError> {
    let workers = if users.is_empty() { Vec::new() } else { lock_serving_workers(db, group, users).await? };
    let mut effects = Effects { ready: !workers.is_empty(), ..Effects::default() };
    for (worker, uuid) in &workers {
        db.run(REMOVE_GROUP, &[&worker.0, &group.0]).await?;
        effects.add(requeue_held(db, *worker, group, now).await?);
        effects.workers.push(*uuid);
        touch(db, *worker, now).await?;
    }
    let taken = effects.workers.clone();
    Ok(effects.with(taken))
}
