//! A task that another task asks for (semantics §4.3): made, released, dropped.

use mitosis_domain::crash;
use mitosis_domain::ids::{GroupId, LaneId, TaskId, UserId, WorkerId};
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use super::super::artifacts::records;
use super::super::rights;
use super::super::row::{self, Columns, Db};
use super::super::tasks::insert::{insert, take_numbers};
use super::lease;
use crate::StoreError;
use crate::code::neg_priority;
use crate::needs;
use crate::ops::dispatch::{FollowUp, Holder};
use crate::ops::tasks::{NewTask, TaskIds};

/// What has to be known of the task that asks.
struct Upstream {
    uuid: Uuid,
    group: GroupId,
    creator: UserId,
    creator_state: AccountState,
}

const UPSTREAM: &str = "
    SELECT t.uuid, t.group_id, t.creator_id, u.state AS creator_state
    FROM task t JOIN users u ON u.id = t.creator_id
    WHERE t.id = $1";

const ROLE_ON_WORKER: &str = "SELECT role FROM worker_group WHERE worker_id = $1 AND group_id = $2";

const INSERT_PENDING: &str = "
    INSERT INTO pending (task_id, upstream_task_id, upstream_epoch) VALUES ($1, $2, $3)";

const LINK_DOWNSTREAM: &str = "UPDATE task SET downstream_uuid = $2 WHERE id = $1";

/// Makes the task Pending until the attempt that asks for it is committed.
pub(super) async fn submit(
    tx: &impl Db,
    holder: Holder,
    task: &NewTask,
    now: Timestamp,
) -> Result<FollowUp, StoreError> {
    let Some(lease) = lease::hold(tx, holder).await? else { return Ok(FollowUp::NotHeld) };
    if lease.reported_end.is_none() {
        return Ok(FollowUp::TooEarly);
    }
    let upstream = row::one(tx, UPSTREAM, &[&lease.key.task.0], |row| {
        Ok(Upstream {
            uuid: row.value("uuid")?,
            group: GroupId(row.value("group_id")?),
            creator: UserId(row.value("creator_id")?),
            creator_state: row.code("creator_state")?,
        })
    })
    .await?;
    if task.group != upstream.group {
        return Ok(FollowUp::OtherGroup);
    }
    if !may_run(tx, lease.worker, task.group).await? {
        return Ok(FollowUp::Forbidden);
    }
    if upstream.creator_state != AccountState::Active {
        return Ok(FollowUp::CreatorNotActive);
    }
    if !may_name(tx, lease.key.task, &upstream, task).await? {
        return Ok(FollowUp::NamesForeign);
    }
    let Some(number) = take_numbers(tx, upstream.creator, task.group, 1).await? else {
        return Ok(FollowUp::CreatorDenied);
    };
    drop_pending(tx, lease.key.task, now).await?;
    let new = std::slice::from_ref(task);
    let placed = insert(tx, upstream.creator, Some(upstream.uuid), new, |_| number, now).await?;
    for new in placed {
        row::run_one(tx, INSERT_PENDING, &[&new.id, &lease.key.task.0, &lease.key.epoch]).await?;
    }
    row::run_one(tx, LINK_DOWNSTREAM, &[&lease.key.task.0, &task.uuid]).await?;
    lease::touch(tx, lease.key.task, now).await?;
    Ok(FollowUp::Created(TaskIds { uuid: task.uuid, number }))
}

/// Of other groups, a follow-up names only what its upstream names: it is the worker that asks for it, and
/// the creator's rights are not the worker's.
const NAMES_MORE: &str = "
    SELECT EXISTS (
        SELECT 1 FROM task t
        WHERE t.uuid = ANY($1) AND t.group_id <> $2
          AND NOT EXISTS (SELECT 1 FROM task_need n WHERE n.needed_uuid = t.uuid AND n.task_id = $3))";

async fn may_name(tx: &impl Db, id: TaskId, upstream: &Upstream, task: &NewTask) -> Result<bool, StoreError> {
    let named: Vec<Uuid> = needs::named_by(&task.spec).into_iter().collect();
    if named.is_empty() {
        return Ok(true);
    }
    let more: bool = row::one(tx, NAMES_MORE, &[&named, &upstream.group.0, &id.0], row::only).await?;
    Ok(!more && rights::sees_all(tx, upstream.creator, &named).await?)
}

async fn may_run(tx: &impl Db, worker: WorkerId, group: GroupId) -> Result<bool, StoreError> {
    let role: Option<Role> =
        row::optional(tx, ROLE_ON_WORKER, &[&worker.0, &group.0], |row| row.code("role")).await?;
    Ok(role.is_some_and(|role| role >= Role::Write))
}

const RELEASE_PENDING: &str = "
    DELETE FROM pending WHERE upstream_task_id = $1 AND upstream_epoch = $2 RETURNING task_id";

const PLACE_OF_TASK: &str = "SELECT lane_id, priority FROM task WHERE id = $1";

const INSERT_RELEASED: &str = "
    INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
    VALUES ($1, $2, $3, 0, 0, $4)";

/// Makes the follow-up of a committed attempt Ready, if there is one and nobody cancelled it; answers
/// whether there was.
pub(super) async fn release(
    tx: &impl Db,
    upstream: TaskId,
    epoch: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let released: Vec<i64> = row::all(tx, RELEASE_PENDING, &[&upstream.0, &epoch], row::only).await?;
    if !released.is_empty() {
        crash::point("follow_up.release:before");
    }
    for task in &released {
        let (lane, priority) = row::one(tx, PLACE_OF_TASK, &[task], |row| {
            Ok((LaneId(row.value("lane_id")?), row.value("priority")?))
        })
        .await?;
        let params: row::Params<'_> = &[&lane.0, &neg_priority(priority), task, &now.unix_micros()];
        row::run_one(tx, INSERT_RELEASED, params).await?;
    }
    if !released.is_empty() {
        crash::point("follow_up.release:after");
    }
    Ok(!released.is_empty())
}

/// Locked, so that none is cancelled while it is dropped.
const PENDING_OF_UPSTREAM: &str = "
    SELECT p.task_id, t.uuid FROM pending p JOIN task t ON t.id = p.task_id
    WHERE p.upstream_task_id = $1 FOR UPDATE OF p";

const UNLINK_DOWNSTREAM: &str = "
    UPDATE task SET downstream_uuid = NULL WHERE id = $1 AND downstream_uuid = $2";

/// `$1` is the task.
const DELETE_EVERY_TRACE: [&str; 4] = [
    "DELETE FROM pending WHERE task_id = $1",
    "DELETE FROM task_label WHERE task_id = $1",
    "DELETE FROM task_need WHERE task_id = $1",
    "DELETE FROM task WHERE id = $1",
];

/// Removes what a lost or repeated request left behind, as if it had never been asked for.
pub(super) async fn drop_pending(tx: &impl Db, upstream: TaskId, now: Timestamp) -> Result<(), StoreError> {
    let orphans: Vec<(TaskId, Uuid)> = row::all(tx, PENDING_OF_UPSTREAM, &[&upstream.0], |row| {
        Ok((TaskId(row.value("task_id")?), row.value("uuid")?))
    })
    .await?;
    for (orphan, uuid) in orphans {
        records::discard_all(tx, orphan, now).await?;
        for delete in DELETE_EVERY_TRACE {
            row::run(tx, delete, &[&orphan.0]).await?;
        }
        row::run(tx, UNLINK_DOWNSTREAM, &[&upstream.0, &uuid]).await?;
    }
    Ok(())
}
