//! Requeuing of tasks whose attempt was not committed.

use mitosis_domain::ids::TaskId;
use mitosis_domain::limits::MAX_LOST_ATTEMPTS;
use mitosis_protocol::Timestamp;
use mitosis_protocol::admin::AccountState;
use uuid::Uuid;

use super::super::artifacts::records;
use super::super::tasks::{cancel, cancel_lost};
use super::follow_up;
use super::lease::{self, Lease};
use crate::StoreError;
use crate::db::{Db, Params, Sql, sql};
use crate::enum_codes::{Code, neg_priority};
use crate::ops::tasks::CancelSelection;
use crate::ops::workers::Fate;
use crate::ops::{Actor, Changed, Effects};

/// Locks the group, so that its deletion comes either before or after.
const PLACE_OF_TASK: Sql = sql!(
    "
    SELECT t.uuid, t.lane_id, t.priority, g.state = $2 AS group_is_gone
    FROM task t INNER JOIN groups g ON g.id = t.group_id
    WHERE t.id = $1
    FOR KEY SHARE OF g"
);

const REQUEUE: Sql = sql!(
    "
    INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
    VALUES ($1, $2, $3, $4, $5, $6)"
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
    let stop_asked = lease::end(db, task).await?;
    let deleted = AccountState::Deleted.code();
    let (uuid, lane, priority, group_is_gone): (Uuid, i64, i32, bool) = db
        .one(PLACE_OF_TASK, &[&task.0, &deleted], |row| {
            let place = (row.value("lane_id")?, row.value("priority")?);
            Ok((row.value("uuid")?, place.0, place.1, row.value("group_is_gone")?))
        })
        .await?;
    let params: Params<'_> =
        &[&lane, &neg_priority(priority), &task.0, &lost.key.epoch.0, &losses, &now.unix_micros()];
    db.run_one(REQUEUE, params).await?;
    records::discard_attempt(db, task, lost.key.epoch, now).await?;
    follow_up::drop_pending(db, task, now).await?;
    let mut effects = Effects::ended(vec![uuid]);
    if stop_asked || group_is_gone {
        let cancelled = cancel(db, Actor::System, &CancelSelection::Ready(vec![uuid]), now).await?;
        return Ok(cancelled.map(|_| uuid));
    }
    if losses >= MAX_LOST_ATTEMPTS && fate == Fate::WorkerLost {
        cancel_lost(db, task, now).await?;
    } else {
        effects.ready = true;
    }
    Ok(effects.with(uuid))
}
