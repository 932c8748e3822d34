//! Which groups use a worker, and how.

use std::collections::BTreeMap;

use mitosis_domain::ids::{GroupId, WorkerId};
use mitosis_protocol::{Role, Timestamp};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::groups::read_relation;
use super::super::row::Run;
use super::edit::touch;
use super::get::id_of;
use crate::Fault;
use crate::code::Code;
use crate::ops::workers::WorkerGroupsChange;

const GROUPS_OF_WORKER: &str = "
    SELECT g.name, w.role
    FROM worker_group w JOIN groups g ON g.id = w.group_id
    WHERE w.worker_id = ?1";

/// By group name.
pub(super) fn of_worker(db: &Connection, worker: WorkerId) -> Result<BTreeMap<String, Role>, Fault> {
    db.all(GROUPS_OF_WORKER, [worker.0], read_relation)
}

const GROUP_ID: &str = "SELECT id FROM groups WHERE name = ?1";

/// The ids behind names, or the first name without one.
fn resolve<'a>(
    db: &Connection,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<Result<Vec<GroupId>, String>, Fault> {
    let mut ids = Vec::new();
    for name in names {
        match db.optional(GROUP_ID, [name], |row| Ok(GroupId(row.get(0)?)))? {
            Some(id) => ids.push(id),
            None => return Ok(Err(name.clone())),
        }
    }
    Ok(Ok(ids))
}

const SET_GROUP: &str = "
    INSERT INTO worker_group (worker_id, group_id, role) VALUES (?1, ?2, ?3)
    ON CONFLICT (worker_id, group_id) DO UPDATE SET role = excluded.role";

/// Gives each group its role, or changes nothing.
pub(super) fn set(
    db: &Connection,
    uuid: Uuid,
    relations: &BTreeMap<String, Role>,
    now: Timestamp,
) -> Result<WorkerGroupsChange, Fault> {
    let Some(worker) = id_of(db, uuid)? else { return Ok(WorkerGroupsChange::UnknownWorker) };
    let groups = match resolve(db, relations.keys())? {
        Ok(groups) => groups,
        Err(name) => return Ok(WorkerGroupsChange::UnknownGroup(name)),
    };
    for (group, role) in groups.into_iter().zip(relations.values()) {
        db.run_one(SET_GROUP, params![worker.0, group.0, role.code()])?;
    }
    touch(db, worker, now)?;
    Ok(WorkerGroupsChange::Done)
}

const REMOVE_GROUP: &str = "DELETE FROM worker_group WHERE worker_id = ?1 AND group_id = ?2";

/// Takes each group off the worker, or changes nothing.
pub(super) fn remove(
    db: &Connection,
    uuid: Uuid,
    names: &[String],
    now: Timestamp,
) -> Result<WorkerGroupsChange, Fault> {
    let Some(worker) = id_of(db, uuid)? else { return Ok(WorkerGroupsChange::UnknownWorker) };
    let groups = match resolve(db, names)? {
        Ok(groups) => groups,
        Err(name) => return Ok(WorkerGroupsChange::UnknownGroup(name)),
    };
    for group in groups {
        db.run(REMOVE_GROUP, [worker.0, group.0])?;
    }
    touch(db, worker, now)?;
    Ok(WorkerGroupsChange::Done)
}
