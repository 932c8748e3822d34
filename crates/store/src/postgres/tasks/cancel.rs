//! Ending tasks that wait, because a user says so.

use std::collections::{HashMap, HashSet};

use mitosis_domain::ids::TaskId;
use mitosis_domain::permission::Action;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{TaskResultMessage, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::rights;
use super::super::row::{self, Columns, Db};
use super::query;
use crate::StoreError;
use crate::code::Code;
use crate::ops::By;
use crate::ops::tasks::{CANCEL_PORTION, CancelSelection};

/// Which waiting tasks may be ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Ready,
    ReadyAndPending,
}

/// Ends what is selected and waits; answers which, in the order of the selection.
pub(in super::super) async fn cancel(
    tx: &impl Db,
    by: By,
    selection: &CancelSelection,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    match selection {
        CancelSelection::Ready(uuids) => cancel_listed(tx, by, uuids, Reach::Ready, now).await,
        CancelSelection::Waiting(uuids) => cancel_listed(tx, by, uuids, Reach::ReadyAndPending, now).await,
        CancelSelection::Matching(query) => match query.waiting_part() {
            Some(query) if !rights::may(tx, by, query.group, Action::ManageTasks).await? => Ok(Vec::new()),
            Some(query) => {
                let ids = query::newest_ids(tx, &query, CANCEL_PORTION).await?;
                cancel_all(tx, &ids, Reach::ReadyAndPending, now).await
            }
            None => Ok(Vec::new()),
        },
    }
}

const IDS_OF_TASKS: &str = "SELECT id FROM task WHERE uuid = ANY($1)";

async fn cancel_listed(
    tx: &impl Db,
    by: By,
    uuids: &[Uuid],
    reach: Reach,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    let uuids = rights::among(tx, by, uuids, Action::ManageTasks).await?;
    let ids: Vec<i64> = row::all(tx, IDS_OF_TASKS, &[&uuids], row::only).await?;
    let mut cancelled: HashSet<Uuid> = cancel_all(tx, &ids, reach, now).await?.into_iter().collect();
    // One that is listed twice is cancelled once.
    Ok(uuids.iter().filter(|uuid| cancelled.remove(*uuid)).copied().collect())
}

/// Nobody held them, so there is no reporter, and no token that could replay this end.
const CANCEL_READY: &str = "
    WITH taken AS (DELETE FROM ready WHERE task_id = ANY($1) RETURNING task_id, epoch)
    INSERT INTO done (task_id, state, exit_status, message, epoch, token, finished_at)
    SELECT task_id, $2, 0, $3, epoch, 0, $4 FROM taken
    RETURNING task_id, (SELECT uuid FROM task WHERE id = task_id) AS uuid";

const CANCEL_PENDING: &str = "
    WITH taken AS (DELETE FROM pending WHERE task_id = ANY($1) RETURNING task_id)
    INSERT INTO done (task_id, state, exit_status, message, epoch, token, finished_at)
    SELECT task_id, $2, 0, $3, 0, 0, $4 FROM taken
    RETURNING task_id, (SELECT uuid FROM task WHERE id = task_id) AS uuid";

/// Ends a Ready task that has lost too many attempts.
pub(in super::super) async fn cancel_lost(
    tx: &impl Db,
    task: TaskId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (state, message) = (ExecEnd::Cancelled.code(), TaskResultMessage::WorkersLost.code());
    row::run_one(tx, CANCEL_READY, &[&vec![task.0], &state, &message, &now.unix_micros()]).await
}

/// Ends those that wait; answers them in the order of `ids`.
async fn cancel_all(
    tx: &impl Db,
    ids: &[i64],
    reach: Reach,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    let (state, message) = (ExecEnd::Cancelled.code(), TaskResultMessage::UserCancellation.code());
    let params: row::Params<'_> = &[&ids, &state, &message, &now.unix_micros()];
    let mut cancelled = HashMap::new();
    // A task goes from Pending to Ready and never back, so in this order none slips through.
    if reach == Reach::ReadyAndPending {
        cancelled = row::all(tx, CANCEL_PENDING, params, read_cancelled).await?;
    }
    cancelled.extend(row::all::<Vec<_>, _>(tx, CANCEL_READY, params, read_cancelled).await?);
    Ok(ids.iter().filter_map(|id| cancelled.remove(id)).collect())
}

fn read_cancelled(row: &Row) -> Result<(i64, Uuid), StoreError> {
    Ok((row.value("task_id")?, row.value("uuid")?))
}
