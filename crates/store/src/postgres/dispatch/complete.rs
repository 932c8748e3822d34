//! The end of a task: the result, its artifacts and its follow-up appear together.

use mitosis_domain::ids::WorkerId;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{TaskResult, Timestamp};
use uuid::Uuid;

use super::super::artifacts::records;
use super::super::row::{self, Db};
use super::super::workers;
use super::follow_up;
use super::lease::{self, Lease};
use crate::Fault;
use crate::code::Code;
use crate::ops::dispatch::{Completed, Completion, Holder};

/// Ends the attempts whose holders still hold their tasks.
pub(super) async fn complete(
    tx: &impl Db,
    completions: &[Completion],
    now: Timestamp,
) -> Result<Vec<Completed>, Fault> {
    if completions.len() > 1 {
        lock_workers(tx, completions).await?;
    }
    let mut outcomes = Vec::with_capacity(completions.len());
    for completion in completions {
        outcomes.push(complete_one(tx, completion, now).await?);
    }
    Ok(outcomes)
}

/// In order, so that two batches never wait for each other in a circle.
const LOCK_WORKERS: &str = "
    SELECT id FROM worker
    WHERE id = ANY($1) OR id IN (SELECT worker_id FROM lease WHERE task_id = ANY($2))
    ORDER BY id FOR UPDATE";

async fn lock_workers(tx: &impl Db, completions: &[Completion]) -> Result<(), Fault> {
    let (mut workers, mut tasks) = (Vec::new(), Vec::new());
    for completion in completions {
        match completion.holder {
            Holder::Worker(worker, _) => workers.push(worker.0),
            Holder::Lease(key) => tasks.push(key.task.0),
        }
    }
    row::run(tx, LOCK_WORKERS, &[&workers, &tasks]).await?;
    Ok(())
}

/// Ends the attempt if its holder still holds the task.
pub(super) async fn complete_one(
    tx: &impl Db,
    completion: &Completion,
    now: Timestamp,
) -> Result<Completed, Fault> {
    let Some(lease) = lease::hold(tx, completion.holder).await? else {
        return Ok(match was_committed(tx, completion.holder).await? {
            true => Completed::Replayed,
            false => Completed::Stale,
        });
    };
    let Some(end) = lease.reported_end.or(completion.end) else { return Ok(Completed::NotReported) };
    lease::end(tx, lease.key.task).await?;
    insert_done(tx, &lease, end, completion.result, now).await?;
    records::publish_attempt(tx, lease.key.task, lease.key.epoch, now).await?;
    follow_up::release(tx, lease.key.task, lease.key.epoch, now).await?;
    workers::after_commit(tx, lease.worker, now).await?;
    Ok(Completed::Committed)
}

const COMMITTED_BY_WORKER: &str = "
    SELECT EXISTS (SELECT 1 FROM done WHERE task_id = $1 AND reporter_worker_id = $2)";

/// A cancellation has no reporter, so no token can pass for its zero.
const COMMITTED_BY_ATTEMPT: &str = "
    SELECT EXISTS (
        SELECT 1 FROM done
        WHERE task_id = $1 AND epoch = $2 AND token = $3 AND reporter_worker_id IS NOT NULL)";

async fn was_committed(tx: &impl Db, holder: Holder) -> Result<bool, Fault> {
    match holder {
        Holder::Worker(worker, task) => {
            row::one(tx, COMMITTED_BY_WORKER, &[&task.0, &worker.0], row::only).await
        }
        Holder::Lease(key) => {
            row::one(tx, COMMITTED_BY_ATTEMPT, &[&key.task.0, &key.epoch, &key.token], row::only).await
        }
    }
}

const INSERT_DONE: &str = "
    INSERT INTO done (task_id, state, exit_status, message, reporter_uuid, reporter_worker_id,
                      epoch, token, claimed_at, finished_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

const UUID_OF_WORKER: &str = "SELECT uuid FROM worker WHERE id = $1";

async fn insert_done(
    tx: &impl Db,
    lease: &Lease,
    end: ExecEnd,
    result: TaskResult,
    now: Timestamp,
) -> Result<(), Fault> {
    let WorkerId(worker) = lease.worker;
    let reporter: Uuid = row::one(tx, UUID_OF_WORKER, &[&worker], row::only).await?;
    let params: row::Params<'_> = &[
        &lease.key.task.0,
        &end.code(),
        &result.exit_status,
        &result.msg.map(Code::code),
        &reporter,
        &worker,
        &lease.key.epoch,
        &lease.key.token,
        &lease.claimed_at.unix_micros(),
        &now.unix_micros(),
    ];
    row::run_one(tx, INSERT_DONE, params).await
}
