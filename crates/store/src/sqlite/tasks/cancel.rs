//! Ending tasks that wait, because a user says so.

use mitosis_domain::ids::TaskId;
use mitosis_domain::permission::Action;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{TaskResultMessage, Timestamp};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::rights;
use super::super::row::{Columns, Run};
use super::{get, query};
use crate::StoreError;
use crate::code::Code;
use crate::ops::By;
use crate::ops::query::TaskQuery;
use crate::ops::tasks::{CANCEL_PORTION, CancelSelection};

/// Which waiting tasks may be ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Ready,
    ReadyAndPending,
}

/// Ends what is selected and waits; answers which.
pub(in super::super) fn cancel(
    db: &Connection,
    by: By,
    selection: &CancelSelection,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    match selection {
        CancelSelection::Ready(uuids) => cancel_listed(db, by, uuids, Reach::Ready, now),
        CancelSelection::Waiting(uuids) => cancel_listed(db, by, uuids, Reach::ReadyAndPending, now),
        CancelSelection::Matching(query) if !rights::may(db, by, query.group, Action::ManageTasks)? => {
            Ok(Vec::new())
        }
        CancelSelection::Matching(query) => cancel_matching(db, query, now),
    }
}

fn cancel_listed(
    db: &Connection,
    by: By,
    uuids: &[Uuid],
    reach: Reach,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    let mut cancelled = Vec::new();
    for uuid in uuids {
        if let Some(id) = get::id_of(db, *uuid)?
            && rights::may_with(db, by, *uuid, Action::ManageTasks)?
            && cancel_one(db, id, reach, now)?
        {
            cancelled.push(*uuid);
        }
    }
    Ok(cancelled)
}

const UUID_OF_TASK: &str = "SELECT uuid FROM task WHERE id = ?1";

fn cancel_matching(db: &Connection, query: &TaskQuery, now: Timestamp) -> Result<Vec<Uuid>, StoreError> {
    let Some(query) = query.waiting_part() else { return Ok(Vec::new()) };
    let mut cancelled = Vec::new();
    for id in query::newest_ids(db, &query, CANCEL_PORTION)? {
        if cancel_one(db, id, Reach::ReadyAndPending, now)? {
            cancelled.push(db.one(UUID_OF_TASK, [id.0], |row| row.uuid("uuid"))?);
        }
    }
    Ok(cancelled)
}

const TAKE_READY: &str = "DELETE FROM ready WHERE task_id = ?1 RETURNING epoch";

const TAKE_PENDING: &str = "DELETE FROM pending WHERE task_id = ?1 RETURNING 0 AS epoch";

/// Nobody held it, so there is no reporter, and no token that could replay this end.
const INSERT_CANCELLED: &str = "
    INSERT INTO done (task_id, state, exit_status, message, epoch, token, finished_at)
    VALUES (?1, ?2, 0, ?3, ?4, 0, ?5)";

fn cancel_one(db: &Connection, task: TaskId, reach: Reach, now: Timestamp) -> Result<bool, StoreError> {
    let mut epoch: Option<i64> = db.optional(TAKE_READY, [task.0], |row| Ok(row.get(0)?))?;
    if epoch.is_none() && reach == Reach::ReadyAndPending {
        epoch = db.optional(TAKE_PENDING, [task.0], |row| Ok(row.get(0)?))?;
    }
    let Some(epoch) = epoch else { return Ok(false) };
    end_cancelled(db, task, epoch, TaskResultMessage::UserCancellation, now)?;
    Ok(true)
}

/// Ends a Ready task that has lost too many attempts.
pub(in super::super) fn cancel_lost(db: &Connection, task: TaskId, now: Timestamp) -> Result<(), StoreError> {
    let epoch = db.one(TAKE_READY, [task.0], |row| Ok(row.get(0)?))?;
    end_cancelled(db, task, epoch, TaskResultMessage::WorkersLost, now)
}

fn end_cancelled(
    db: &Connection,
    task: TaskId,
    epoch: i64,
    message: TaskResultMessage,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (state, message) = (ExecEnd::Cancelled.code(), message.code());
    db.run_one(INSERT_CANCELLED, params![task.0, state, message, epoch, now.unix_micros()])
}
