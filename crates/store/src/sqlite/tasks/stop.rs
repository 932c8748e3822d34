//! Asking for a task that runs to be stopped.

use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::rights;
use super::super::row::{Columns, Run};
use crate::StoreError;
use crate::ops::By;
use crate::ops::tasks::StopAsked;

/// Published workers have no slots, and no ears.
const FIND: &str = "
    SELECT l.task_id, w.uuid, w.slots IS NOT NULL AS listens
    FROM task t CROSS JOIN lease l ON l.task_id = t.id CROSS JOIN worker w ON w.id = l.worker_id
    WHERE t.uuid = ?1 AND l.reported_end IS NULL";

const ASK: &str = "UPDATE lease SET stop_asked = 1, updated_at = ?2 WHERE task_id = ?1 AND NOT stop_asked";

/// Notes the wish on the lease, if an agent of ours has it.
pub(super) fn ask(db: &Connection, by: By, uuid: Uuid, now: Timestamp) -> Result<StopAsked, StoreError> {
    if !rights::may_with(db, by, uuid, Action::ManageTasks)? {
        return Ok(StopAsked::NotRunning);
    }
    let found = db.optional(FIND, [uuid.as_bytes()], |row| {
        Ok((row.value::<i64>("task_id")?, row.uuid("uuid")?, row.value("listens")?))
    })?;
    Ok(match found {
        Some((task, worker, true)) => {
            db.run(ASK, params![task, now.unix_micros()])?;
            StopAsked::Of(worker)
        }
        Some((_, _, false)) => StopAsked::OfPublished,
        None => StopAsked::NotRunning,
    })
}
