//! Noting how the command ended.

use mitosis_domain::task::ExecEnd;
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};

use super::super::row::Run;
use super::lease;
use crate::StoreError;
use crate::code::Code;
use crate::ops::dispatch::{EndReport, Holder};

const NOTE_END: &str = "UPDATE lease SET reported_end = ?2, updated_at = ?3 WHERE task_id = ?1";

/// Notes it on the lease, if that is still there.
pub(super) fn report_end(
    db: &Connection,
    holder: Holder,
    end: ExecEnd,
    now: Timestamp,
) -> Result<EndReport, StoreError> {
    let Some(lease) = lease::find(db, holder)? else { return Ok(EndReport::NotHeld) };
    db.run_one(NOTE_END, params![lease.key.task.0, end.code(), now.unix_micros()])?;
    Ok(EndReport::Noted)
}
