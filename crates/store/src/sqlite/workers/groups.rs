//! Which groups use a worker, and how.

use std::collections::BTreeMap;

use mitosis_domain::account::Membership;
use mitosis_domain::ids::{GroupId, WorkerId};
use mitosis_domain::permission::Action;
use mitosis_protocol::{Role, Timestamp};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::dispatch::lease::{self, Lease};
use super::super::dispatch::lose::put_back;
use super::super::groups::read_relation;
use super::super::rights;
use super::super::row::{Columns, Run};
use super::edit::touch;
use super::get::id_of;
use crate::StoreError;
use crate::code::Code;
use crate::ops::By;
use crate::ops::workers::{Fate, WorkerGroupsChange};

const GROUPS_OF_WORKER: &str = "
    SELECT g.name, w.role
    FROM worker_group w JOIN groups g ON g.id = w.group_id
    WHERE w.worker_id = ?1";

/// By group name.
pub(super) fn of_worker(db: &Connection, worker: WorkerId) -> Result<BTreeMap<String, Role>, StoreError> {
    db.all(GROUPS_OF_WORKER, [worker.0], read_relation)
}

const GROUP_ID: &str = "SELECT id FROM groups WHERE name = ?1";

/// The ids behind names, or the first name without one.
fn resolve<'a>(
    db: &Connection,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<Result<Vec<GroupId>, String>, StoreError> {
    let mut ids = Vec::new();
    for name in names {
        match db.optional(GROUP_ID, [name], |row| Ok(GroupId(row.get(0)?)))? {
            Some(id) => ids.push(id),
            None => return Ok(Err(name.clone())),
        }
    }
    Ok(Ok(ids))
}

const ROLE_ON_WORKER: &str = "SELECT role FROM worker_group WHERE worker_id = ?1 AND group_id = ?2";

const SET_GROUP: &str = "
    INSERT INTO worker_group (worker_id, group_id, role, granted_by) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (worker_id, group_id) DO UPDATE SET
        -- Whoever lowers a role does not answer for it.
        granted_by = CASE WHEN excluded.role > worker_group.role THEN excluded.granted_by
                          ELSE worker_group.granted_by END,
        role = excluded.role";

/// Gives each group its role, or changes nothing.
pub(super) fn set(
    db: &Connection,
    by: By,
    uuid: Uuid,
    relations: &BTreeMap<String, Role>,
    now: Timestamp,
) -> Result<WorkerGroupsChange, StoreError> {
    let Some(worker) = id_of(db, uuid)? else { return Ok(WorkerGroupsChange::UnknownWorker) };
    if !rights::controls(db, by, worker)? {
        return Ok(WorkerGroupsChange::NotInControl);
    }
    let groups = match resolve(db, relations.keys())? {
        Ok(groups) => groups,
        Err(name) => return Ok(WorkerGroupsChange::UnknownGroup(name)),
    };
    for (group, (name, role)) in groups.iter().zip(relations) {
        let before: Option<Role> =
            db.optional(ROLE_ON_WORKER, [worker.0, group.0], |row| row.code("role"))?;
        let membership = rights::membership(db, by, *group)?;
        if before.is_none_or(|before| *role > before) && !may_serve(membership) {
            return Ok(WorkerGroupsChange::MayNotServe(name.clone(), membership));
        }
    }
    for (group, role) in groups.into_iter().zip(relations.values()) {
        db.run_one(SET_GROUP, params![worker.0, group.0, role.code(), by.code()])?;
    }
    touch(db, worker, now)?;
    Ok(WorkerGroupsChange::Done)
}

fn may_serve(membership: Membership) -> bool {
    matches!(membership, Membership::Member(_, role) if Action::Serve.allowed_to(role))
}

const REMOVE_GROUP: &str = "DELETE FROM worker_group WHERE worker_id = ?1 AND group_id = ?2";

/// Takes each group off the worker, or changes nothing.
pub(super) fn remove(
    db: &Connection,
    by: By,
    uuid: Uuid,
    names: &[String],
    now: Timestamp,
) -> Result<WorkerGroupsChange, StoreError> {
    let Some(worker) = id_of(db, uuid)? else { return Ok(WorkerGroupsChange::UnknownWorker) };
    let groups = match resolve(db, names)? {
        Ok(groups) => groups,
        Err(name) => return Ok(WorkerGroupsChange::UnknownGroup(name)),
    };
    let controls = rights::controls(db, by, worker)?;
    for group in &groups {
        if !controls && !rights::may(db, by, *group, Action::ControlWorkers)? {
            return Ok(WorkerGroupsChange::NotInControl);
        }
    }
    for group in groups {
        db.run(REMOVE_GROUP, [worker.0, group.0])?;
        if !controls {
            give_back(db, worker, group, now)?;
        }
    }
    touch(db, worker, now)?;
    Ok(WorkerGroupsChange::Done)
}

const LEASES_OF_GROUP: &str = "
    SELECT l.task_id, l.worker_id, l.epoch, l.token, l.losses, l.claimed_at, l.reported_end
    FROM lease l CROSS JOIN task t ON t.id = l.task_id
    WHERE l.worker_id = ?1 AND t.group_id = ?2 ORDER BY l.claimed_at, l.task_id";

/// Takes from a worker what it holds of a group.
fn give_back(db: &Connection, worker: WorkerId, group: GroupId, now: Timestamp) -> Result<(), StoreError> {
    let held: Vec<Lease> = db.all(LEASES_OF_GROUP, [worker.0, group.0], lease::read)?;
    for lease in &held {
        put_back(db, lease, Fate::Returned, now)?;
    }
    Ok(())
}

const WORKERS_OF_MEMBER: &str = "
    SELECT w.id, w.uuid FROM worker w
    WHERE EXISTS (SELECT 1 FROM worker_group g
                  WHERE g.worker_id = w.id AND g.group_id = ?1 AND ?2 IN (w.creator_id, g.granted_by))
       OR (w.creator_id = ?2
           AND EXISTS (SELECT 1 FROM lease l CROSS JOIN task t ON t.id = l.task_id
                       WHERE l.worker_id = w.id AND t.group_id = ?1))
    ORDER BY w.id";

/// Takes the workers of users, and those that they put there, off a group, with what these hold of it;
/// answers which.
pub(in super::super) fn end_service(
    db: &Connection,
    group: GroupId,
    users: &[i64],
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    let mut ended = Vec::new();
    for user in users {
        let workers: Vec<(WorkerId, Uuid)> = db.all(WORKERS_OF_MEMBER, [group.0, *user], |row| {
            Ok((WorkerId(row.value("id")?), row.uuid("uuid")?))
        })?;
        for (worker, uuid) in workers {
            db.run(REMOVE_GROUP, [worker.0, group.0])?;
            give_back(db, worker, group, now)?;
            touch(db, worker, now)?;
            ended.push(uuid);
        }
    }
    Ok(ended)
}
