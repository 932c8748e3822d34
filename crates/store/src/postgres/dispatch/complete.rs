//! The end of a task: the result, its artifacts and its follow-up become visible together.

use mitosis_domain::ids::JobId;
use mitosis_domain::task::{ExecEnd, outcome};
use mitosis_protocol::job::TaskOutcome;
use mitosis_protocol::{Epoch, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::db::{Row, only};
use crate::enum_codes::Code;
use crate::ops::dispatch::{Completed, Completion, Holder};
use crate::ops::jobs::CountChange;
use crate::ops::{Changed, Effects};
use crate::postgres::session::{Params, Session};
use crate::shared::artifacts::records;
use crate::shared::dispatch::{follow_up, lease};
use crate::shared::jobs::auto_retry;
use crate::shared::jobs::counts::CountChanges;
use crate::shared::jobs::elements::EndedElement;
use crate::shared::jobs::elements::settle::settle;
use crate::shared::jobs::reopen::RetriedBy;
use crate::shared::workers::{self, LockedWorker};

/// Ends the attempts that still hold their tasks.
pub(crate) async fn complete(
    db: Session<'_>,
    completions: &[Completion],
    now: Timestamp,
) -> Result<Changed<Vec<Completed>>, StoreError> {
    if completions.len() > 1 {
        lock_workers(db, completions).await?;
    }
    let (mut outcomes, mut effects) = (Vec::with_capacity(completions.len()), Effects::default());
    for completion in completions {
        outcomes.push(effects.keep(complete_one(db, completion, now).await?));
    }
    Ok(effects.with(outcomes))
}

/// Locks in the order of ids, so that two batches can't deadlock.
const LOCK_WORKERS: &str = "
    SELECT id FROM worker
    WHERE id = ANY($1) OR id IN (SELECT worker_id FROM lease WHERE task_id = ANY($2))
    ORDER BY id FOR UPDATE";

async fn lock_workers(db: Session<'_>, completions: &[Completion]) -> Result<(), StoreError> {
    let (mut workers, mut tasks) = (Vec::new(), Vec::new());
    for completion in completions {
        match completion.holder {
            Holder::Worker(worker, _) => workers.push(worker.0),
            Holder::Lease(key) => tasks.push(key.task.0),
        }
    }
    db.run(LOCK_WORKERS, &[&workers, &tasks]).await?;
    Ok(())
}

/// Ends an attempt that still holds its task.
async fn complete_one(
    db: Session<'_>,
    completion: &Completion,
    now: Timestamp,
) -> Result<Changed<Completed>, StoreError> {
    let worker = match completion.holder {
        Holder::Worker(worker, _) => Some(worker),
        holder @ Holder::Lease(_) => lease::find(db.into(), holder).await?.map(|lease| lease.worker),
    };
    let locked = match worker {
        Some(worker) => workers::lock(db.into(), worker).await?,
        None => None,
    };
    let Some(worker) = locked else { return refusal(db, completion.holder).await.map(Changed::nothing) };
    let mut effects = Effects::default();
    let completed = effects.keep(complete_of(db, &worker, completion, now).await?);
    if completed == Completed::Committed {
        effects.add(workers::after_commit(db.into(), &worker, now).await?);
    }
    Ok(effects.with(completed))
}

/// Deletes the lease and inserts the end in one statement, so that no earlier read can be outdated.
const END: &str = "
    WITH ended AS (
        DELETE FROM lease
        WHERE task_id = $1 AND worker_id = $2
          AND ($3::bigint IS NULL OR (epoch = $3 AND token = $4))
          AND coalesce(reported_end, $5::smallint) IS NOT NULL
        RETURNING task_id, worker_id, epoch, token, claimed_at, reported_end, limit_set_id)
    INSERT INTO done (task_id, state, exit_status, message, reporter_uuid, reporter_worker_id,
                      epoch, token, claimed_at, finished_at)
    SELECT task_id, coalesce(reported_end, $5), $6, $7, $8, worker_id, epoch, token, claimed_at, $9 FROM ended
    RETURNING epoch, state, (SELECT uuid FROM task WHERE id = task_id) AS uuid,
              (SELECT job_id FROM task WHERE id = task_id) AS job_id,
              (SELECT limit_set_id IS NOT NULL FROM ended) AS is_limited";

/// Checks for artifacts and a follow-up, which most attempts don't have, and whether others need tasks of the job.
const LEFT: &str = "
    SELECT EXISTS (SELECT 1 FROM artifact WHERE task_id = $1 AND epoch = $2 AND NOT visible) AS archives,
           EXISTS (SELECT 1 FROM pending WHERE upstream_task_id = $1 AND upstream_epoch = $2) AS follow_up,
           EXISTS (SELECT 1 FROM job_dependency WHERE needed_id = $3 AND kind = 2) AS is_needed";

/// The task of an attempt that ended now.
struct EndedTask {
    epoch: Epoch,
    uuid: Uuid,
    job: Option<JobId>,
    end: ExecEnd,
    /// It used named limits: others may start now.
    is_limited: bool,
}

/// Ends an attempt of a locked worker.
async fn complete_of(
    db: Session<'_>,
    worker: &LockedWorker,
    completion: &Completion,
    now: Timestamp,
) -> Result<Changed<Completed>, StoreError> {
    let (task, attempt) = match completion.holder {
        Holder::Worker(_, task) => (task, None),
        Holder::Lease(key) => (key.task, Some(key)),
    };
    let params: Params<'_> = &[
        &task.0,
        &worker.id.0,
        &attempt.map(|key| key.epoch.0),
        &attempt.map(|key| key.token.0),
        &completion.end.map(Code::code),
        &completion.result.exit_status.0,
        &completion.result.msg.map(Code::code),
        &worker.uuid,
        &now.unix_micros(),
    ];
    let read = |row: &Row<'_>| {
        Ok(EndedTask {
            epoch: Epoch(row.value("epoch")?),
            uuid: row.value("uuid")?,
            job: row.value::<Option<_>>("job_id")?.map(JobId),
            end: row.code("state")?,
            is_limited: row.value("is_limited")?,
        })
    };
    let Some(EndedTask { epoch, uuid, job, end, is_limited }) = db.optional(END, params, read).await? else {
        return refusal(db, completion.holder).await.map(Changed::nothing);
    };
    let mut counts = CountChanges::default();
    let outcome = outcome(end, completion.result);
    counts.add(job, CountChange { running: -1, ..CountChange::ended(outcome, 1) });
    let failed: Vec<_> = auto_retry::Failed::of(task, job, end, completion.result).into_iter().collect();
    let retries = auto_retry::decide(db.into(), &failed, now).await?;
    let mut effects = Effects { ready: is_limited, ..Effects::ended(vec![uuid]) };
    let flag = |row: &Row<'_>, name| row.value::<bool>(name);
    let (archives, follow_up, is_needed) = db
        .one(LEFT, &[&task.0, &epoch.0, &job.map(|job| job.0)], |row| {
            Ok((flag(row, "archives")?, flag(row, "follow_up")?, flag(row, "is_needed")?))
        })
        .await?;
    let succeeded = outcome == TaskOutcome::Succeeded;
    let element = job.filter(|_| is_needed && !retries.includes(task));
    let element = element.map(|job| EndedElement { task: task.0, job, succeeded });
    if archives {
        records::publish_attempt(db.into(), task, epoch, now).await?;
    }
    match (follow_up, retries.includes(task)) {
        (true, true) => follow_up::drop_pending(db.into(), task, now).await?,
        (true, false) => effects.add(follow_up::release(db.into(), task, epoch, now).await?),
        (false, _) => {}
    }
    effects.add(retries.apply(db.into(), &mut counts, now).await?);
    effects.add(settle(db.into(), element.into_iter().collect(), &mut counts, now).await?);
    effects.add(counts.write(db.into()).await?);
    Ok(effects.with(Completed::Committed))
}

/// The reason why nothing was ended.
async fn refusal(db: Session<'_>, holder: Holder) -> Result<Completed, StoreError> {
    if lease::find(db.into(), holder).await?.is_some() {
        return Ok(Completed::NotReported);
    }
    Ok(match was_committed(db, holder).await? {
        true => Completed::Replayed,
        false => Completed::Stale,
    })
}

const COMMITTED_BY_WORKER: &str = "
    SELECT EXISTS (SELECT 1 FROM done WHERE task_id = $1 AND reporter_worker_id = $2)";

/// Matches a committed attempt by its key. A cancellation has no reporter, so its token 0 matches nothing.
const COMMITTED_BY_ATTEMPT: &str = "
    SELECT EXISTS (
        SELECT 1 FROM done
        WHERE task_id = $1 AND epoch = $2 AND token = $3 AND reporter_worker_id IS NOT NULL)
      OR EXISTS (
        SELECT 1 FROM attempt WHERE task_id = $1 AND epoch = $2 AND token = $3 AND retried_by <> $4)";

async fn was_committed(db: Session<'_>, holder: Holder) -> Result<bool, StoreError> {
    match holder {
        Holder::Worker(worker, task) => db.one(COMMITTED_BY_WORKER, &[&task.0, &worker.0], only).await,
        Holder::Lease(key) => {
            let params: Params<'_> = &[&key.task.0, &key.epoch.0, &key.token.0, &RetriedBy::Loss.code()];
            db.one(COMMITTED_BY_ATTEMPT, params, only).await
        }
    }
}
