//! What users change about a worker.

use mitosis_domain::ids::WorkerId;
use mitosis_domain::tags::Words;
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::row::{Run, to_json};
use crate::Fault;

const SET_TAGS: &str = "UPDATE worker SET tags = ?2, updated_at = ?3 WHERE uuid = ?1";

const SET_LABELS: &str = "UPDATE worker SET labels = ?2, updated_at = ?3 WHERE uuid = ?1";

const TOUCH: &str = "UPDATE worker SET updated_at = ?2 WHERE id = ?1";

/// Sets exactly these tags; false when there is no such worker.
pub(super) fn set_tags(db: &Connection, uuid: Uuid, tags: &Words, now: Timestamp) -> Result<bool, Fault> {
    Ok(db.run(SET_TAGS, params![uuid.as_bytes(), to_json(tags)?, now.unix_micros()])? == 1)
}

/// Sets exactly these labels; false when there is no such worker.
pub(super) fn set_labels(db: &Connection, uuid: Uuid, labels: &Words, now: Timestamp) -> Result<bool, Fault> {
    Ok(db.run(SET_LABELS, params![uuid.as_bytes(), to_json(labels)?, now.unix_micros()])? == 1)
}

/// Notes that the worker took or committed a task, or that its groups changed.
pub(in super::super) fn touch(db: &Connection, worker: WorkerId, now: Timestamp) -> Result<(), Fault> {
    db.run_one(TOUCH, [worker.0, now.unix_micros()])
}
