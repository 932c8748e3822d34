//! Which groups use a worker, and how.

use std::collections::BTreeMap;

use mitosis_domain::ids::{GroupId, WorkerId};
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use super::super::groups::read_relation;
use super::super::row::{self, Db};
use super::edit::touch;
use super::lock::lock_by_uuid;
use crate::Fault;
use crate::code::Code;
use crate::ops::workers::WorkerGroupsChange;

const GROUPS_OF_WORKER: &str = "
    SELECT g.name, w.role
    FROM worker_group w JOIN groups g ON g.id = w.group_id
    WHERE w.worker_id = $1";

/// By group name.
pub(super) async fn of_worker(db: &impl Db, worker: WorkerId) -> Result<BTreeMap<String, Role>, Fault> {
    row::all(db, GROUPS_OF_WORKER, &[&worker.0], read_relation).await
}

const GROUP_ID: &str = "SELECT id FROM groups WHERE name = $1";

/// The ids behind names, or the first name without one.
async fn resolve<'a>(
    tx: &impl Db,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<Result<Vec<GroupId>, String>, Fault> {
    let mut ids = Vec::new();
    for name in names {
        match row::optional(tx, GROUP_ID, &[name], row::only).await? {
            Some(id) => ids.push(GroupId(id)),
            None => return Ok(Err(name.clone())),
        }
    }
    Ok(Ok(ids))
}

const SET_GROUP: &str = "
    INSERT INTO worker_group (worker_id, group_id, role) VALUES ($1, $2, $3)
    ON CONFLICT (worker_id, group_id) DO UPDATE SET role = excluded.role";

/// Gives each group its role, or changes nothing.
pub(super) async fn set(
    tx: &impl Db,
    uuid: Uuid,
    relations: &BTreeMap<String, Role>,
    now: Timestamp,
) -> Result<WorkerGroupsChange, Fault> {
    let Some(worker) = lock_by_uuid(tx, uuid).await? else { return Ok(WorkerGroupsChange::UnknownWorker) };
    let groups = match resolve(tx, relations.keys().collect::<Vec<_>>()).await? {
        Ok(groups) => groups,
        Err(name) => return Ok(WorkerGroupsChange::UnknownGroup(name)),
    };
    for (group, role) in groups.into_iter().zip(relations.values()) {
        row::run_one(tx, SET_GROUP, &[&worker.0, &group.0, &role.code()]).await?;
    }
    touch(tx, worker, now).await?;
    Ok(WorkerGroupsChange::Done)
}

const REMOVE_GROUP: &str = "DELETE FROM worker_group WHERE worker_id = $1 AND group_id = $2";

/// Takes each group off the worker, or changes nothing.
pub(super) async fn remove(
    tx: &impl Db,
    uuid: Uuid,
    names: &[String],
    now: Timestamp,
) -> Result<WorkerGroupsChange, Fault> {
    let Some(worker) = lock_by_uuid(tx, uuid).await? else { return Ok(WorkerGroupsChange::UnknownWorker) };
    let groups = match resolve(tx, names).await? {
        Ok(groups) => groups,
        Err(name) => return Ok(WorkerGroupsChange::UnknownGroup(name)),
    };
    for group in groups {
        row::run(tx, REMOVE_GROUP, &[&worker.0, &group.0]).await?;
    }
    touch(tx, worker, now).await?;
    Ok(WorkerGroupsChange::Done)
}
