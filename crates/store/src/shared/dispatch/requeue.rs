//! Requeuing of tasks whose attempt was not committed.

use mitosis_domain::ids::{JobId, TaskId};
use mitosis_domain::limits::MAX_LOST_ATTEMPTS;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::Timestamp;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::job::StopCause;
use uuid::Uuid;

use super::super::artifacts::records;
use super::super::jobs::counts::CountChanges;
use super::super::jobs::reopen::RetriedBy;
use super::super::tasks::{cancel, cancel_lost};
use super::follow_up;
use super::lease::{self, Lease};
use crate::StoreError;
use crate::db::{Db, Params, Row, Sql, sql};
use crate::enum_codes::{Code, neg_priority};
use crate::ops::jobs::CountChange;
use crate::ops::tasks::CancelSelection;
use crate::ops::workers::Fate;
use crate::ops::{Actor, Changed, Effects};

/// Locks the job and the group, so that a change of them comes either before or after.
const LOCK_JOB: &str = "SELECT 1 FROM job WHERE id = (SELECT job_id FROM task WHERE id = $1) FOR SHARE";

const PLACE_OF_TASK: Sql = sql!(
    "
    SELECT t.uuid, t.lane_id, t.priority, t.job_id, g.state = $2 AS group_is_gone,
           coalesce((SELECT paused OR max_running IS NOT NULL FROM job WHERE job.id = t.job_id), FALSE) AS is_held,
           EXISTS (SELECT 1 FROM job WHERE job.id = t.job_id AND stop_cause <> $3) AS is_stopped
    FROM task t INNER JOIN groups g ON g.id = t.group_id
    WHERE t.id = $1
    FOR KEY SHARE OF g"
);

/// The place of a task in the queue, and what its job and group allow.
struct PlaceOfTask {
    uuid: Uuid,
    lane: i64,
    priority: i32,
    job: Option<JobId>,
    group_is_gone: bool,
    /// The job is paused, or has a limit: a coordinator releases as many tasks as may run.
    is_held: bool,
    is_stopped: bool,
}

fn read_place(row: &Row<'_>) -> Result<PlaceOfTask, StoreError> {
    Ok(PlaceOfTask {
        uuid: row.value("uuid")?,
        lane: row.value("lane_id")?,
        priority: row.value("priority")?,
        job: row.value::<Option<_>>("job_id")?.map(JobId),
        group_is_gone: row.value("group_is_gone")?,
        is_held: row.value("is_held")?,
        is_stopped: row.value("is_stopped")?,
    })
}

/// A lost attempt stays visible.
const KEEP_LOST: Sql = sql!(
    "
    INSERT INTO attempt (task_id, epoch, state, exit_status, reporter_uuid, token, claimed_at, finished_at, retried_by)
    VALUES ($1, $2, $3, 0, (SELECT uuid FROM worker WHERE id = $4), $5, $6, $7, $8)"
);

const REQUEUE: Sql = sql!(
    "
    INSERT INTO ready (lane_id, held, neg_priority, task_id, epoch, losses, queued_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)"
);

/// Makes the task Ready again, at its old position in the queue, and drops what the attempt prepared. If a user
/// requested to stop it, the task is cancelled instead, since the request was about the task and not about the
/// attempt. So is a task of a deleted group, and one that has lost too many attempts. Answers the task.
pub(crate) async fn requeue(
    db: Db<'_>,
    lost: &Lease,
    fate: Fate,
    now: Timestamp,
) -> Result<Changed<Uuid>, StoreError> {
    let (task, losses): (TaskId, i64) = (lost.key.task, fate.losses(lost.losses));
    let ended = lease::end(db, task).await?;
    db.lock(LOCK_JOB, &[&task.0]).await?;
    // A job that writes no more tasks because of others still runs those that it wrote.
    let cut = StopCause::DependencyFailed.code();
    let place = db.one(PLACE_OF_TASK, &[&task.0, &AccountState::Deleted.code(), &cut], read_place).await?;
    let (uuid, order) = (place.uuid, neg_priority(place.priority));
    if fate == Fate::WorkerLost {
        let params: Params<'_> = &[
            &task.0,
            &lost.key.epoch.0,
            &ExecEnd::Cancelled.code(),
            &lost.worker.0,
            &lost.key.token.0,
            &lost.claimed_at.unix_micros(),
            &now.unix_micros(),
            &RetriedBy::Loss.code(),
        ];
        db.run_one(KEEP_LOST, params).await?;
    }
    let params: Params<'_> =
        &[&place.lane, &place.is_held, &order, &task.0, &lost.key.epoch.0, &losses, &now.unix_micros()];
    db.run_one(REQUEUE, params).await?;
    let mut counts = CountChanges::default();
    counts.add(place.job, CountChange { waiting: 1, running: -1, ..CountChange::default() });
    let mut effects = counts.write(db).await?;
    effects.ready |= ended.is_limited;
    records::discard_attempt(db, task, lost.key.epoch, now).await?;
    follow_up::drop_pending(db, task, now).await?;
    // A stopped job has cancelled its waiting tasks already.
    if ended.stop_asked || place.group_is_gone || place.is_stopped {
        effects.keep(cancel(db, Actor::System, &CancelSelection::Ready(vec![uuid]), now).await?);
        return Ok(effects.with(uuid));
    }
    effects.add(Effects::ended(vec![uuid]));
    if losses >= MAX_LOST_ATTEMPTS && fate == Fate::WorkerLost {
        effects.add(cancel_lost(db, task, now).await?);
    } else {
        effects.ready = true;
    }
    Ok(effects.with(uuid))
}
