//! Cancellation of waiting tasks.

use std::collections::{HashMap, HashSet};

use mitosis_domain::ids::TaskId;
use mitosis_domain::permission::Action;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{TaskResultMessage, Timestamp};
use uuid::Uuid;

use super::super::rights;
use super::query;
use crate::StoreError;
use crate::db::{Db, List, Params, Row, Sql, only, sql};
use crate::enum_codes::Code;
use crate::ops::tasks::{CANCEL_BATCH, CancelSelection};
use crate::ops::{Actor, Changed, Effects};

/// The states in which a task may be cancelled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Ready,
    ReadyAndPending,
}

/// Cancels the selected tasks that wait; returns them in the order of the selection.
pub(crate) async fn cancel(
    db: Db<'_>,
    actor: Actor,
    selection: &CancelSelection,
    now: Timestamp,
) -> Result<Changed<Vec<Uuid>>, StoreError> {
    let cancelled = cancel_selected(db, actor, selection, now).await?;
    Ok(Effects::ended(cancelled.clone()).with(cancelled))
}

async fn cancel_selected(
    db: Db<'_>,
    actor: Actor,
    selection: &CancelSelection,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    match selection {
        CancelSelection::Ready(uuids) => cancel_listed(db, actor, uuids, Reach::Ready, now).await,
        CancelSelection::Waiting(uuids) => cancel_listed(db, actor, uuids, Reach::ReadyAndPending, now).await,
        CancelSelection::Matching(query) => match query.waiting_part() {
            Some(query) if !rights::may(db, actor, query.group, Action::ManageTasks).await? => Ok(Vec::new()),
            Some(query) => {
                let ids = query::newest_ids(db, &query, CANCEL_BATCH).await?;
                cancel_all(db, &ids, Reach::ReadyAndPending, now).await
            }
            None => Ok(Vec::new()),
        },
    }
}

const IDS_OF_TASKS: Sql = sql!("SELECT id FROM task WHERE uuid = ANY($1::uuid[])");

async fn cancel_listed(
    db: Db<'_>,
    actor: Actor,
    uuids: &[Uuid],
    reach: Reach,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    let uuids = rights::permitted_tasks(db, actor, uuids, Action::ManageTasks).await?;
    let ids: Vec<i64> = db.all(IDS_OF_TASKS, &[&List(&uuids)], only).await?;
    let mut cancelled: HashSet<Uuid> = cancel_all(db, &ids, reach, now).await?.into_iter().collect();
    // A task that is listed twice is cancelled once.
    Ok(uuids.iter().filter(|uuid| cancelled.remove(*uuid)).copied().collect())
}

/// The statements for one state: how to insert the end, and how to delete the state.
struct Place {
    end: Sql,
    delete: Sql,
}

/// The tasks have no reporter, and token 0, so that no report can match this end.
const READY: Place = Place {
    end: sql!(
        "
    INSERT INTO done (task_id, state, exit_status, message, epoch, token, finished_at)
    SELECT task_id, $2::smallint, 0, $3::smallint, epoch, 0, $4::bigint
    FROM (SELECT task_id, epoch FROM ready WHERE task_id = ANY($1) FOR UPDATE) AS taken
    RETURNING task_id, (SELECT uuid FROM task WHERE id = task_id) AS uuid"
    ),
    delete: sql!("DELETE FROM ready WHERE task_id = ANY($1)"),
};

const PENDING: Place = Place {
    end: sql!(
        "
    INSERT INTO done (task_id, state, exit_status, message, epoch, token, finished_at)
    SELECT task_id, $2::smallint, 0, $3::smallint, 0, 0, $4::bigint
    FROM (SELECT task_id FROM pending WHERE task_id = ANY($1) FOR UPDATE) AS taken
    RETURNING task_id, (SELECT uuid FROM task WHERE id = task_id) AS uuid"
    ),
    delete: sql!("DELETE FROM pending WHERE task_id = ANY($1)"),
};

/// Cancels a Ready task that has lost too many attempts.
pub(crate) async fn cancel_lost(db: Db<'_>, task: TaskId, now: Timestamp) -> Result<(), StoreError> {
    end_all(db, READY, &[task.0], TaskResultMessage::WorkersLost, now).await.map(drop)
}

/// Cancels the waiting tasks; returns them in the order of `ids`.
async fn cancel_all(db: Db<'_>, ids: &[i64], reach: Reach, now: Timestamp) -> Result<Vec<Uuid>, StoreError> {
    let message = TaskResultMessage::UserCancellation;
    let mut cancelled = HashMap::new();
    // A task goes from Pending to Ready and never back, so in this order none is missed.
    if reach == Reach::ReadyAndPending {
        cancelled = end_all(db, PENDING, ids, message, now).await?;
    }
    cancelled.extend(end_all(db, READY, ids, message, now).await?);
    Ok(ids.iter().filter_map(|id| cancelled.remove(id)).collect())
}

/// Cancels the tasks in one state. They are locked before they are deleted, so tasks that enter the state in
/// the meantime stay.
async fn end_all(
    db: Db<'_>,
    place: Place,
    ids: &[i64],
    message: TaskResultMessage,
    now: Timestamp,
) -> Result<HashMap<i64, Uuid>, StoreError> {
    let params: Params<'_> = &[&List(ids), &ExecEnd::Cancelled.code(), &message.code(), &now.unix_micros()];
    let ended: HashMap<i64, Uuid> = db.all(place.end, params, read_cancelled).await?;
    let ids: Vec<i64> = ended.keys().copied().collect();
    if !ids.is_empty() {
        db.run(place.delete, &[&List(&ids)]).await?;
    }
    Ok(ended)
}

fn read_cancelled(row: &Row<'_>) -> Result<(i64, Uuid), StoreError> {
    Ok((row.value("task_id")?, row.value("uuid")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_searches_for_tasks_that_wait() {
        assert_searches(READY.delete, &["ready"]);
        assert_searches(PENDING.delete, &["pending"]);
        assert_searches(IDS_OF_TASKS, &["task"]);
    }
}
