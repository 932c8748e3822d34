//! The end of a task: the result, its artifacts and its follow-up appear together.

use mitosis_domain::crash;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{ResultWarning, TaskResult, Timestamp};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::artifacts::records;
use super::super::row::{Columns, Run, warnings_to_json};
use super::super::workers;
use super::follow_up;
use super::lease::{self, Lease};
use crate::StoreError;
use crate::code::Code;
use crate::ops::dispatch::{Completed, Completion, Holder};

/// Ends the attempt if its holder still holds the task.
pub(super) fn complete(
    db: &Connection,
    completion: &Completion,
    now: Timestamp,
) -> Result<Completed, StoreError> {
    let Some(lease) = lease::find(db, completion.holder)? else {
        return Ok(if was_committed(db, completion.holder)? {
            Completed::Replayed
        } else {
            Completed::Stale
        });
    };
    let Some(end) = lease.reported_end.or(completion.end) else { return Ok(Completed::NotReported) };
    let ended = Left { result: completion.result, data: None, warnings: &[] };
    self::end(db, &lease, end, ended, now)?;
    workers::after_commit(db, lease.worker, now)?;
    Ok(Completed::Committed)
}

/// What is known of the end of an attempt.
pub(super) struct Left<'a> {
    pub(super) result: TaskResult,
    pub(super) data: Option<&'a str>,
    pub(super) warnings: &'a [ResultWarning],
}

/// Ends an attempt that holds its task; answers whether that made a follow-up Ready.
pub(super) fn end(
    db: &Connection,
    lease: &Lease,
    end: ExecEnd,
    left: Left<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // However it ended, it is over: a wish to stop it has come too late.
    crash::point("complete.delete:before");
    let _stop_asked = lease::end(db, lease.key.task)?;
    crash::point("complete.delete:after");
    insert_done(db, lease, end, left, now)?;
    records::publish_attempt(db, lease.key.task, lease.key.epoch, now)?;
    follow_up::release(db, lease.key.task, lease.key.epoch, now)
}

const COMMITTED_BY_WORKER: &str = "
    SELECT EXISTS (SELECT 1 FROM done WHERE task_id = ?1 AND reporter_worker_id = ?2)";

/// A cancellation has no reporter, so no token can pass for its zero.
const COMMITTED_BY_ATTEMPT: &str = "
    SELECT EXISTS (
        SELECT 1 FROM done
        WHERE task_id = ?1 AND epoch = ?2 AND token = ?3 AND reporter_worker_id IS NOT NULL)";

pub(super) fn was_committed(db: &Connection, holder: Holder) -> Result<bool, StoreError> {
    match holder {
        Holder::Worker(worker, task) => {
            db.one(COMMITTED_BY_WORKER, [task.0, worker.0], |row| Ok(row.get(0)?))
        }
        Holder::Lease(key) => {
            db.one(COMMITTED_BY_ATTEMPT, [key.task.0, key.epoch, key.token], |row| Ok(row.get(0)?))
        }
    }
}

const INSERT_DONE: &str = "
    INSERT INTO done (task_id, state, exit_status, message, reporter_uuid, reporter_worker_id,
                      epoch, token, claimed_at, finished_at, data, warnings)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const UUID_OF_WORKER: &str = "SELECT uuid FROM worker WHERE id = ?1";

fn insert_done(
    db: &Connection,
    lease: &Lease,
    end: ExecEnd,
    Left { result, data, warnings }: Left<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let WorkerId(worker) = lease.worker;
    let reporter: Uuid = db.one(UUID_OF_WORKER, [worker], |row| row.uuid("uuid"))?;
    db.run_one(
        INSERT_DONE,
        params![
            lease.key.task.0,
            end.code(),
            result.exit_status,
            result.msg.map(Code::code),
            reporter.as_bytes(),
            worker,
            lease.key.epoch,
            lease.key.token,
            lease.claimed_at.unix_micros(),
            now.unix_micros(),
            data,
            warnings_to_json(warnings)?,
        ],
    )
}
