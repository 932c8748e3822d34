//! Follow-ups, which are tasks that another task requests (semantics §4.3): creation, release and removal.

use mitosis_domain::failpoints;
use mitosis_domain::ids::{GroupId, LaneId, TaskId, UserId, WorkerId};
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{Epoch, Role, Timestamp};
use uuid::Uuid;

use super::super::artifacts::records;
use super::super::rights;
use super::super::tasks::insert::{NewRow, Origin, Slot, draw_numbers, insert};
use super::lease;
use crate::StoreError;
use crate::db::{Db, List, Params, Sql, only, sql};
use crate::enum_codes::neg_priority;
use crate::ops::dispatch::{FollowUp, Holder};
use crate::ops::tasks::TaskIds;
use crate::ops::{Changed, Effects};

/// The facts about the upstream task.
struct Upstream {
    uuid: Uuid,
    group: GroupId,
    creator: UserId,
    creator_state: AccountState,
}

const UPSTREAM: Sql = sql!(
    "
    SELECT t.uuid, t.group_id, t.creator_id, u.state AS creator_state
    FROM task t INNER JOIN users u ON u.id = t.creator_id
    WHERE t.id = $1"
);

const ROLE_ON_WORKER: Sql = sql!("SELECT role FROM worker_group WHERE worker_id = $1 AND group_id = $2");

const INSERT_PENDING: Sql = sql!(
    "
    INSERT INTO pending (task_id, upstream_task_id, upstream_epoch) VALUES ($1, $2, $3)"
);

const LINK_DOWNSTREAM: Sql = sql!("UPDATE task SET downstream_uuid = $2 WHERE id = $1");

/// Creates the task as Pending until the attempt that requests it is committed.
pub(crate) async fn submit(
    db: Db<'_>,
    holder: Holder,
    row: &NewRow,
    now: Timestamp,
) -> Result<Changed<FollowUp>, StoreError> {
    let Some(lease) = lease::lock(db, holder).await? else { return Ok(Changed::nothing(FollowUp::NotHeld)) };
    if lease.reported_end.is_none() {
        return Ok(Changed::nothing(FollowUp::TooEarly));
    }
    let upstream = db
        .one(UPSTREAM, &[&lease.key.task.0], |row| {
            Ok(Upstream {
                uuid: row.value("uuid")?,
                group: GroupId(row.value("group_id")?),
                creator: UserId(row.value("creator_id")?),
                creator_state: row.code("creator_state")?,
            })
        })
        .await?;
    if row.group != upstream.group {
        return Ok(Changed::nothing(FollowUp::OtherGroup));
    }
    if !may_run(db, lease.worker, row.group).await? {
        return Ok(Changed::nothing(FollowUp::Forbidden));
    }
    if upstream.creator_state != AccountState::Active {
        return Ok(Changed::nothing(FollowUp::CreatorNotActive));
    }
    if !may_refer(db, lease.key.task, &upstream, row).await? {
        return Ok(Changed::nothing(FollowUp::ForbiddenReference));
    }
    let Some(drawn) = draw_numbers(db, upstream.creator, row.group, 1).await? else {
        return Ok(Changed::nothing(FollowUp::CreatorDenied));
    };
    drop_pending(db, lease.key.task, now).await?;
    let origin = Origin { creator: upstream.creator, upstream: Some(upstream.uuid) };
    let (number, priority) = (drawn.first, drawn.clamp(row.priority));
    let row = &NewRow { priority, ..row.clone() };
    for new in insert(db, origin, std::slice::from_ref(row), &[Slot::single(number)], now).await? {
        db.run_one(INSERT_PENDING, &[&new.task.0, &lease.key.task.0, &lease.key.epoch.0]).await?;
    }
    db.run_one(LINK_DOWNSTREAM, &[&lease.key.task.0, &row.uuid]).await?;
    lease::touch(db, lease.key.task, now).await?;
    Ok(Effects::moved().with(FollowUp::Created(TaskIds { uuid: row.uuid, number })))
}

/// A follow-up may only refer to those tasks of other groups that its upstream refers to: the worker requests
/// it, and doesn't have the rights of the creator.
const REFERS_TO_OTHERS: Sql = sql!(
    "
    SELECT EXISTS (
        SELECT 1 FROM task t
        WHERE t.uuid = ANY($1::uuid[]) AND t.group_id <> $2
          AND NOT EXISTS (SELECT 1 FROM task_need n WHERE n.needed_uuid = t.uuid AND n.task_id = $3))"
);

async fn may_refer(db: Db<'_>, id: TaskId, upstream: &Upstream, row: &NewRow) -> Result<bool, StoreError> {
    let named: Vec<Uuid> = row.references.iter().copied().collect();
    if named.is_empty() {
        return Ok(true);
    }
    let more: bool = db.one(REFERS_TO_OTHERS, &[&List(&named), &upstream.group.0, &id.0], only).await?;
    Ok(!more && rights::may_see_all(db, upstream.creator, &named).await?)
}

async fn may_run(db: Db<'_>, worker: WorkerId, group: GroupId) -> Result<bool, StoreError> {
    let role: Option<Role> =
        db.optional(ROLE_ON_WORKER, &[&worker.0, &group.0], |row| row.code("role")).await?;
    Ok(role.is_some_and(|role| role >= Role::Write))
}

const RELEASE_PENDING: Sql = sql!(
    "
    DELETE FROM pending WHERE upstream_task_id = $1 AND upstream_epoch = $2 RETURNING task_id"
);

const PLACE_OF_TASK: Sql = sql!("SELECT lane_id, priority FROM task WHERE id = $1");

const INSERT_RELEASED: Sql = sql!(
    "
    INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
    VALUES ($1, $2, $3, 0, 0, $4)"
);

/// Makes the follow-up of a committed attempt Ready, unless it was cancelled.
pub(crate) async fn release(
    db: Db<'_>,
    upstream: TaskId,
    epoch: Epoch,
    now: Timestamp,
) -> Result<Effects, StoreError> {
    let released: Vec<i64> = db.all(RELEASE_PENDING, &[&upstream.0, &epoch.0], only).await?;
    if !released.is_empty() {
        failpoints::point("follow_up.release:before");
    }
    for task in &released {
        let (lane, priority) = db
            .one(PLACE_OF_TASK, &[task], |row| Ok((LaneId(row.value("lane_id")?), row.value("priority")?)))
            .await?;
        let params: Params<'_> = &[&lane.0, &neg_priority(priority), task, &now.unix_micros()];
        db.run_one(INSERT_RELEASED, params).await?;
    }
    if !released.is_empty() {
        failpoints::point("follow_up.release:after");
    }
    Ok(Effects { ready: !released.is_empty(), ..Effects::default() })
}

/// Locks the rows, so that they can't be cancelled at the same time.
const PENDING_OF_UPSTREAM: Sql = sql!(
    "
    SELECT p.task_id, t.uuid FROM pending p JOIN task t ON t.id = p.task_id
    WHERE p.upstream_task_id = $1 FOR UPDATE OF p"
);

const UNLINK_DOWNSTREAM: Sql = sql!(
    "
    UPDATE task SET downstream_uuid = NULL WHERE id = $1 AND downstream_uuid = $2"
);

/// The deletions in an order that satisfies the foreign keys; `$1` is the task.
const DELETE_TASK: [Sql; 4] = [
    sql!("DELETE FROM pending WHERE task_id = $1"),
    sql!("DELETE FROM task_label WHERE task_id = $1"),
    sql!("DELETE FROM task_need WHERE task_id = $1"),
    sql!("DELETE FROM task WHERE id = $1"),
];

/// Deletes the Pending follow-up of a lost attempt or of a repeated request without a trace.
pub(crate) async fn drop_pending(db: Db<'_>, upstream: TaskId, now: Timestamp) -> Result<(), StoreError> {
    let orphans: Vec<(TaskId, Uuid)> = db
        .all(PENDING_OF_UPSTREAM, &[&upstream.0], |row| {
            Ok((TaskId(row.value("task_id")?), row.value("uuid")?))
        })
        .await?;
    for (orphan, uuid) in orphans {
        records::discard_all(db, orphan, now).await?;
        for delete in DELETE_TASK {
            db.run(delete, &[&orphan.0]).await?;
        }
        db.run(UNLINK_DOWNSTREAM, &[&upstream.0, &uuid]).await?;
    }
    Ok(())
}
