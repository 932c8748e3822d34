//! What workers have to be told.

use std::collections::HashMap;

use mitosis_domain::ids::{TaskId, WorkerId};
use mitosis_protocol::admin::AccountState;
use rusqlite::{Connection, Row, params};

use super::super::row::{Columns, Run};
use crate::StoreError;
use crate::code::Code;
use crate::ops::workers::{Duties, HeldAttempt};

const STATE: &str = "
    SELECT w.state FROM worker w CROSS JOIN users u ON u.id = w.creator_id WHERE w.id = ?1 AND u.state = ?2";

const HELD: &str = "
    SELECT task_id, epoch, claimed_at, stop_asked FROM lease
    WHERE worker_id = ?1 ORDER BY claimed_at, task_id";

/// The duties of those that are there.
pub(super) fn duties(db: &Connection, workers: &[WorkerId]) -> Result<HashMap<WorkerId, Duties>, StoreError> {
    let mut duties = HashMap::new();
    for worker in workers {
        let Some(state) =
            db.optional(STATE, params![worker.0, AccountState::Active.code()], |row| row.code("state"))?
        else {
            continue;
        };
        duties.insert(*worker, Duties { state, held: db.all(HELD, [worker.0], read)? });
    }
    Ok(duties)
}

fn read(row: &Row<'_>) -> Result<HeldAttempt, StoreError> {
    Ok(HeldAttempt {
        task: TaskId(row.value("task_id")?),
        epoch: row.value("epoch")?,
        claimed_at: row.time("claimed_at")?,
        stop_asked: row.value("stop_asked")?,
    })
}
