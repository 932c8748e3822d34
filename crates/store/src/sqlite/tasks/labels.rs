//! Replacing the labels of a task, in any state.

use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::permission::Action;
use mitosis_domain::tags::Words;
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::rights;
use super::super::row::{Columns, Run, to_json};
use super::insert::INSERT_TASK_LABEL;
use super::intern::Interned;
use crate::StoreError;
use crate::ops::By;

const FIND_TASK: &str = "SELECT id, group_id FROM task WHERE uuid = ?1";

const SET_LABELS: &str = "UPDATE task SET labels = ?2, updated_at = ?3 WHERE id = ?1";

const DELETE_TASK_LABELS: &str = "DELETE FROM task_label WHERE task_id = ?1";

/// Sets exactly these labels; false when there is no such task for this user.
pub(super) fn set(
    db: &Connection,
    by: By,
    uuid: Uuid,
    labels: &Words,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if !rights::may_with(db, by, uuid, Action::ManageTasks)? {
        return Ok(false);
    }
    let found = db.optional(FIND_TASK, [uuid.as_bytes()], |row| {
        Ok((TaskId(row.value("id")?), GroupId(row.value("group_id")?)))
    })?;
    let Some((task, group)) = found else { return Ok(false) };
    db.run_one(SET_LABELS, params![task.0, to_json(labels)?, now.unix_micros()])?;
    db.run(DELETE_TASK_LABELS, [task.0])?;
    let mut interned = Interned::default();
    for label in labels.iter() {
        let label = interned.label(db, group, label)?;
        db.run_one(INSERT_TASK_LABEL, [label, task.0])?;
    }
    Ok(true)
}
