//! The end of a task: the result, its artifacts and its follow-up appear together.

use mitosis_protocol::Timestamp;

use super::super::artifacts::records;
use super::super::row::{self, Columns, Db};
use super::super::workers::{self, Locked};
use super::{follow_up, lease};
use crate::StoreError;
use crate::code::Code;
use crate::ops::dispatch::{Completed, Completion, Holder};

/// Ends the attempts whose holders still hold their tasks.
pub(super) async fn complete(
    tx: &impl Db,
    completions: &[Completion],
    now: Timestamp,
) -> Result<Vec<Completed>, StoreError> {
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

async fn lock_workers(tx: &impl Db, completions: &[Completion]) -> Result<(), StoreError> {
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
async fn complete_one(
    tx: &impl Db,
    completion: &Completion,
    now: Timestamp,
) -> Result<Completed, StoreError> {
    let worker = match completion.holder {
        Holder::Worker(worker, _) => Some(worker),
        holder @ Holder::Lease(_) => lease::find(tx, holder).await?.map(|lease| lease.worker),
    };
    let locked = match worker {
        Some(worker) => workers::lock(tx, worker).await?,
        None => None,
    };
    let Some(worker) = locked else { return refusal(tx, completion.holder).await };
    let completed = complete_of(tx, &worker, completion, now).await?;
    if completed == Completed::Committed {
        workers::after_commit(tx, &worker, now).await?;
    }
    Ok(completed)
}

/// The lease goes and the end comes in one statement, so that it can't matter what was true before.
const END: &str = "
    WITH ended AS (
        DELETE FROM lease
        WHERE task_id = $1 AND worker_id = $2
          AND ($3::bigint IS NULL OR (epoch = $3 AND token = $4))
          AND coalesce(reported_end, $5::smallint) IS NOT NULL
        RETURNING task_id, worker_id, epoch, token, claimed_at, reported_end)
    INSERT INTO done (task_id, state, exit_status, message, reporter_uuid, reporter_worker_id,
                      epoch, token, claimed_at, finished_at)
    SELECT task_id, coalesce(reported_end, $5), $6, $7, $8, worker_id, epoch, token, claimed_at, $9 FROM ended
    RETURNING epoch";

/// What an attempt may have left, and rarely has.
const LEFT: &str = "
    SELECT EXISTS (SELECT 1 FROM artifact WHERE task_id = $1 AND epoch = $2 AND NOT visible) AS archives,
           EXISTS (SELECT 1 FROM pending WHERE upstream_task_id = $1 AND upstream_epoch = $2) AS follow_up";

/// Ends an attempt of a locked worker.
async fn complete_of(
    tx: &impl Db,
    worker: &Locked,
    completion: &Completion,
    now: Timestamp,
) -> Result<Completed, StoreError> {
    let (task, attempt) = match completion.holder {
        Holder::Worker(_, task) => (task, None),
        Holder::Lease(key) => (key.task, Some(key)),
    };
    let params: row::Params<'_> = &[
        &task.0,
        &worker.id.0,
        &attempt.map(|key| key.epoch),
        &attempt.map(|key| key.token),
        &completion.end.map(Code::code),
        &completion.result.exit_status,
        &completion.result.msg.map(Code::code),
        &worker.uuid,
        &now.unix_micros(),
    ];
    let Some(epoch) = row::optional(tx, END, params, row::only::<i64>).await? else {
        return refusal(tx, completion.holder).await;
    };
    let (archives, follow_up) = row::one(tx, LEFT, &[&task.0, &epoch], |row| {
        Ok((row.value::<bool>("archives")?, row.value::<bool>("follow_up")?))
    })
    .await?;
    if archives {
        records::publish_attempt(tx, task, epoch, now).await?;
    }
    if follow_up {
        follow_up::release(tx, task, epoch, now).await?;
    }
    Ok(Completed::Committed)
}

/// Why nothing was ended.
async fn refusal(tx: &impl Db, holder: Holder) -> Result<Completed, StoreError> {
    if lease::find(tx, holder).await?.is_some() {
        return Ok(Completed::NotReported);
    }
    Ok(match was_committed(tx, holder).await? {
        true => Completed::Replayed,
        false => Completed::Stale,
    })
}

const COMMITTED_BY_WORKER: &str = "
    SELECT EXISTS (SELECT 1 FROM done WHERE task_id = $1 AND reporter_worker_id = $2)";

/// A cancellation has no reporter, so no token can pass for its zero.
const COMMITTED_BY_ATTEMPT: &str = "
    SELECT EXISTS (
        SELECT 1 FROM done
        WHERE task_id = $1 AND epoch = $2 AND token = $3 AND reporter_worker_id IS NOT NULL)";

async fn was_committed(tx: &impl Db, holder: Holder) -> Result<bool, StoreError> {
    match holder {
        Holder::Worker(worker, task) => {
            row::one(tx, COMMITTED_BY_WORKER, &[&task.0, &worker.0], row::only).await
        }
        Holder::Lease(key) => {
            row::one(tx, COMMITTED_BY_ATTEMPT, &[&key.task.0, &key.epoch, &key.token], row::only).await
        }
    }
}
