//! A worker comes.

use std::time::Duration;

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::Timestamp;
use mitosis_protocol::worker::WorkerState;
use rusqlite::{Connection, params};

use super::super::row::{Run, to_json};
use crate::Fault;
use crate::code::{Code, micros};
use crate::ops::workers::NewWorker;

const INSERT_WORKER: &str = "
    INSERT INTO worker (uuid, creator_id, tags, labels, state, created_at, updated_at, slots)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)";

const INSERT_GROUP: &str = "INSERT INTO worker_group (worker_id, group_id, role) VALUES (?1, ?2, ?3)";

const INSERT_SESSION: &str = "
    INSERT INTO worker_session (worker_id, last_heartbeat, lease_until, lease) VALUES (?1, ?2, ?2 + ?3, ?3)";

/// Registers it for all its groups, alive from now.
pub(super) fn register(
    db: &Connection,
    new: &NewWorker,
    lease: Duration,
    now: Timestamp,
) -> Result<WorkerId, Fault> {
    let (tags, labels) = (to_json(&new.tags)?, to_json(&new.labels)?);
    let state = WorkerState::Normal.code();
    let worker = db.insert(
        INSERT_WORKER,
        params![new.uuid.as_bytes(), new.creator.0, tags, labels, state, now.unix_micros(), new.slots],
    )?;
    for (group, role) in &new.groups {
        db.run_one(INSERT_GROUP, params![worker, group.0, role.code()])?;
    }
    db.run_one(INSERT_SESSION, [worker, now.unix_micros(), micros(lease)])?;
    Ok(WorkerId(worker))
}
