//! Cancellation of waiting tasks.

use std::collections::{HashMap, HashSet};

use mitosis_domain::ids::{JobId, TaskId};
use mitosis_domain::permission::Action;
use mitosis_domain::task::{ExecEnd, outcome};
use mitosis_protocol::{TaskResult, TaskResultMessage, Timestamp, WaitStatus};
use uuid::Uuid;

use super::super::jobs::counts::CountChanges;
use super::super::jobs::elements::EndedElement;
use super::super::jobs::elements::settle::settle;
use super::super::rights;
use super::query;
use crate::StoreError;
use crate::db::{Db, List, Params, Row, Sql, only, sql};
use crate::enum_codes::Code;
use crate::ops::jobs::CountChange;
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
    let mut effects = Effects::default();
    let cancelled = effects.keep(cancel_selected(db, actor, selection, now).await?);
    effects.add(Effects::ended(cancelled.clone()));
    Ok(effects.with(cancelled))
}

async fn cancel_selected(
    db: Db<'_>,
    actor: Actor,
    selection: &CancelSelection,
    now: Timestamp,
) -> Result<Changed<Vec<Uuid>>, StoreError> {
    match selection {
        CancelSelection::Ready(uuids) => cancel_listed(db, actor, uuids, Reach::Ready, now).await,
        CancelSelection::Waiting(uuids) => cancel_listed(db, actor, uuids, Reach::ReadyAndPending, now).await,
        CancelSelection::Matching(query) => match query.waiting_part() {
            Some(query) if !rights::may(db, actor, query.group, Action::ManageTasks).await? => {
                Ok(Changed::nothing(Vec::new()))
            }
            Some(query) => {
                let ids = query::newest_ids(db, &query, CANCEL_BATCH).await?;
                cancel_all(db, &ids, Reach::ReadyAndPending, now).await
            }
            None => Ok(Changed::nothing(Vec::new())),
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
) -> Result<Changed<Vec<Uuid>>, StoreError> {
    let uuids = rights::permitted_tasks(db, actor, uuids, Action::ManageTasks).await?;
    let ids: Vec<i64> = db.all(IDS_OF_TASKS, &[&List(&uuids)], only).await?;
    let cancelled = cancel_all(db, &ids, reach, now).await?;
    // A task that is listed twice is cancelled once.
    Ok(cancelled.map(|cancelled| {
        let mut cancelled: HashSet<Uuid> = cancelled.into_iter().collect();
        uuids.iter().filter(|uuid| cancelled.remove(*uuid)).copied().collect()
    }))
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
    RETURNING task_id, (SELECT uuid FROM task WHERE id = task_id) AS uuid,
        (SELECT job_id FROM task WHERE id = task_id) AS job_id"
    ),
    delete: sql!("DELETE FROM ready WHERE task_id = ANY($1) RETURNING task_id, blocked <> 0 AS is_blocked"),
};

const PENDING: Place = Place {
    end: sql!(
        "
    INSERT INTO done (task_id, state, exit_status, message, epoch, token, finished_at)
    SELECT task_id, $2::smallint, 0, $3::smallint, 0, 0, $4::bigint
    FROM (SELECT task_id FROM pending WHERE task_id = ANY($1) FOR UPDATE) AS taken
    RETURNING task_id, (SELECT uuid FROM task WHERE id = task_id) AS uuid,
        (SELECT job_id FROM task WHERE id = task_id) AS job_id"
    ),
    delete: sql!("DELETE FROM pending WHERE task_id = ANY($1) RETURNING task_id, FALSE AS is_blocked"),
};

/// Cancels a Ready task that has lost too many attempts.
pub(crate) async fn cancel_lost(db: Db<'_>, task: TaskId, now: Timestamp) -> Result<Effects, StoreError> {
    Ok(end_all(db, READY, &[task.0], TaskResultMessage::WorkersLost, now).await?.into_parts().1)
}

/// Ends those of the tasks that are Ready.
pub(crate) async fn end_ready(
    db: Db<'_>,
    ids: &[i64],
    message: TaskResultMessage,
    now: Timestamp,
) -> Result<Changed<u64>, StoreError> {
    let (ended, mut effects) = end_all(db, READY, ids, message, now).await?.into_parts();
    effects.add(Effects::ended(ended.values().copied().collect()));
    Ok(effects.with(ended.len() as u64))
}

/// Cancels the waiting tasks; returns them in the order of `ids`.
async fn cancel_all(
    db: Db<'_>,
    ids: &[i64],
    reach: Reach,
    now: Timestamp,
) -> Result<Changed<Vec<Uuid>>, StoreError> {
    let message = TaskResultMessage::UserCancellation;
    let (mut cancelled, mut effects) = (HashMap::new(), Effects::default());
    // A task goes from Pending to Ready and never back, so in this order none is missed.
    if reach == Reach::ReadyAndPending {
        cancelled = effects.keep(end_all(db, PENDING, ids, message, now).await?);
    }
    cancelled.extend(effects.keep(end_all(db, READY, ids, message, now).await?));
    Ok(effects.with(ids.iter().filter_map(|id| cancelled.remove(id)).collect()))
}

/// Cancels the tasks in one state, and counts them in their jobs. They are locked before they are deleted, so tasks that
/// enter the state in the meantime stay.
async fn end_all(
    db: Db<'_>,
    place: Place,
    ids: &[i64],
    message: TaskResultMessage,
    now: Timestamp,
) -> Result<Changed<HashMap<i64, Uuid>>, StoreError> {
    if ids.is_empty() {
        return Ok(Changed::nothing(HashMap::new()));
    }
    let params: Params<'_> = &[&List(ids), &ExecEnd::Cancelled.code(), &message.code(), &now.unix_micros()];
    let ended: Vec<Cancelled> = db.all(place.end, params, read_cancelled).await?;
    let ids: Vec<i64> = ended.iter().map(|one| one.id).collect();
    if ids.is_empty() {
        return Ok(Changed::nothing(HashMap::new()));
    }
    let blocked: HashMap<i64, bool> = db
        .all(place.delete, &[&List(&ids)], |row| Ok((row.value("task_id")?, row.value("is_blocked")?)))
        .await?;
    let outcome = outcome(ExecEnd::Cancelled, TaskResult { exit_status: WaitStatus(0), msg: Some(message) });
    let change = CountChange { waiting: -1, ..CountChange::ended(outcome, 1) };
    let mut counts = CountChanges::default();
    for one in &ended {
        let blocked = -i64::from(blocked.get(&one.id).copied().unwrap_or_default());
        counts.add(one.job, CountChange { blocked, ..change });
    }
    let elements =
        ended.iter().filter_map(|one| Some(EndedElement { task: one.id, job: one.job?, succeeded: false }));
    let mut effects = settle(db, elements.collect(), &mut counts, now).await?;
    effects.add(counts.write(db).await?);
    Ok(effects.with(ended.into_iter().map(|one| (one.id, one.uuid)).collect()))
}

/// A cancelled task.
struct Cancelled {
    id: i64,
    uuid: Uuid,
    job: Option<JobId>,
}

fn read_cancelled(row: &Row<'_>) -> Result<Cancelled, StoreError> {
    let job = row.value::<Option<_>>("job_id")?.map(JobId);
    Ok(Cancelled { id: row.value("task_id")?, uuid: row.value("uuid")?, job })
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
