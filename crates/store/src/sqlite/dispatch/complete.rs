//! The end of a task: the result, its artifacts and its follow-up become visible together.

use mitosis_domain::failpoints;
use mitosis_domain::ids::{GroupId, JobId, UserId, WorkerId};
use mitosis_domain::task::{ExecEnd, LeaseKey, outcome};
use mitosis_protocol::job::TaskOutcome;
use mitosis_protocol::usage::AttemptUsage;
use mitosis_protocol::{ResultWarning, TaskResult, Timestamp};
use rusqlite::params;
use uuid::Uuid;

use crate::StoreError;
use crate::db::StoredUsage;
use crate::db::{only, warnings_to_json};
use crate::enum_codes::Code;
use crate::ops::dispatch::{Completed, Completion, Holder};
use crate::ops::jobs::CountChange;
use crate::ops::{Changed, Effects};
use crate::shared::artifacts::records;
use crate::shared::dispatch::follow_up;
use crate::shared::dispatch::lease::{self, EndedLease, Lease};
use crate::shared::jobs::auto_retry::{self, Failed, Retries};
use crate::shared::jobs::counts::CountChanges;
use crate::shared::jobs::elements::EndedElement;
use crate::shared::jobs::elements::settle::settle;
use crate::shared::jobs::reopen::RetriedBy;
use crate::shared::workers;
use crate::sqlite::connection::Connection;
use crate::sqlite::finish;

/// Ends the attempts that still hold their tasks.
pub(crate) fn complete(
    db: &Connection,
    completions: &[Completion],
    now: Timestamp,
) -> Result<Changed<Vec<Completed>>, StoreError> {
    let (mut effects, mut counts) = (Effects::default(), CountChanges::default());
    let mut needed = Vec::new();
    let outcomes = completions
        .iter()
        .map(|one| complete_one(db, one, (&mut effects, &mut counts, &mut needed), now))
        .collect::<Result<_, _>>()?;
    effects.add(finish(settle(db.into(), needed, &mut counts, now))?);
    effects.add(finish(counts.write(db.into()))?);
    Ok(effects.with(outcomes))
}

fn complete_one(
    db: &Connection,
    completion: &Completion,
    (effects, counts, needed): (&mut Effects, &mut CountChanges, &mut Vec<EndedElement>),
    now: Timestamp,
) -> Result<Completed, StoreError> {
    let Some(lease) = finish(lease::find(db.into(), completion.holder))? else {
        return Ok(if was_committed(db, completion.holder)? {
            Completed::Replayed
        } else {
            Completed::Stale
        });
    };
    let Some(end) = lease.reported_end.or(completion.end) else { return Ok(Completed::NotReported) };
    let ended = AttemptEnd { result: completion.result, data: None, warnings: &[], usage: None };
    let Some(worker) = finish(workers::lock(db.into(), lease.worker))? else { return Ok(Completed::Stale) };
    // A request to stop that comes after the end has no effect.
    failpoints::point("complete.delete:before");
    let EndedLease { is_limited, .. } = finish(lease::end(db.into(), lease.key.task))?;
    let ended = self::end(db, &lease, worker.uuid, end, ended, counts, now)?;
    let ended = effects.keep(ended);
    effects.ready |= is_limited;
    needed.extend(ended.element);
    effects.add(finish(ended.retries.apply(db.into(), counts, now))?);
    effects.add(finish(workers::after_commit(db.into(), &worker, now))?);
    Ok(Completed::Committed)
}

/// What was reported about the end of an attempt.
pub(super) struct AttemptEnd<'a> {
    pub(super) result: TaskResult,
    pub(super) data: Option<&'a str>,
    pub(super) warnings: &'a [ResultWarning],
    pub(super) usage: Option<AttemptUsage>,
}

const ENDED_TASK: &str = "
    SELECT uuid, job_id, group_id, creator_id,
        EXISTS (SELECT 1 FROM job_dependency x WHERE x.needed_id = task.job_id AND x.kind = 2) AS is_needed,
        EXISTS (SELECT 1 FROM artifact a WHERE a.task_id = ?1 AND a.epoch = ?2 AND NOT a.visible) AS has_archives,
        EXISTS (SELECT 1 FROM pending p WHERE p.upstream_task_id = ?1 AND p.upstream_epoch = ?2) AS has_follow_up
    FROM task WHERE id = ?1";

/// The task of an attempt that ended now.
struct FoundTask {
    uuid: Uuid,
    job: Option<JobId>,
    group: GroupId,
    creator: UserId,
    /// Whether tasks of another job need those of the job.
    is_needed: bool,
    /// Whether the attempt has archives that are not visible yet.
    has_archives: bool,
    has_follow_up: bool,
}

/// An attempt that has ended.
pub(super) struct EndedTask {
    pub(super) uuid: Uuid,
    pub(super) group: GroupId,
    pub(super) creator: UserId,
    /// Whether the task has another attempt; to be applied once everything else is stored.
    pub(super) retries: Retries,
    /// The end of the task, if others need it.
    pub(super) element: Option<EndedElement>,
}

/// Stores the end of an attempt whose lease was deleted, and makes its follow-up Ready unless there is another attempt.
pub(super) fn end(
    db: &Connection,
    lease: &Lease,
    reporter: Uuid,
    end: ExecEnd,
    ended: AttemptEnd<'_>,
    counts: &mut CountChanges,
    now: Timestamp,
) -> Result<Changed<EndedTask>, StoreError> {
    let LeaseKey { task, epoch, .. } = lease.key;
    let result = ended.result;
    let outcome = outcome(end, result);
    failpoints::point("complete.delete:after");
    insert_done(db, lease, reporter, end, ended, now)?;
    let found = db.one(ENDED_TASK, [task.0, epoch.0], |row| {
        Ok(FoundTask {
            uuid: row.get(0)?,
            job: row.get::<Option<i64>>(1)?.map(JobId),
            group: GroupId(row.get(2)?),
            creator: UserId(row.get(3)?),
            is_needed: row.get(4)?,
            has_archives: row.get(5)?,
            has_follow_up: row.get(6)?,
        })
    })?;
    let FoundTask { uuid, job, group, creator, is_needed, has_archives, has_follow_up } = found;
    if has_archives {
        finish(records::publish_attempt(db.into(), task, epoch, now))?;
    }
    counts.add(job, CountChange { running: -1, ..CountChange::ended(outcome, 1) });
    let failed: Vec<Failed> = Failed::of(task, job, end, result).into_iter().collect();
    let retries = finish(auto_retry::decide(db.into(), &failed, now))?;
    let is_retried = retries.includes(task);
    let mut effects = Effects::ended(vec![uuid]);
    match is_retried {
        true => finish(follow_up::drop_pending(db.into(), task, now))?,
        false if has_follow_up => effects.add(finish(follow_up::release(db.into(), task, epoch, now))?),
        false => {}
    }
    let succeeded = outcome == TaskOutcome::Succeeded;
    let element = job.filter(|_| is_needed && !is_retried);
    let element = element.map(|job| EndedElement { task: task.0, job, succeeded });
    Ok(effects.with(EndedTask { uuid, group, creator, retries, element }))
}

const COMMITTED_BY_WORKER: &str = "
    SELECT EXISTS (SELECT 1 FROM done WHERE task_id = ?1 AND reporter_worker_id = ?2)";

/// Matches a committed attempt by its key. A cancellation has no reporter, so its token 0 matches nothing.
const COMMITTED_BY_ATTEMPT: &str = "
    SELECT EXISTS (
        SELECT 1 FROM done
        WHERE task_id = ?1 AND epoch = ?2 AND token = ?3 AND reporter_worker_id IS NOT NULL)
      OR EXISTS (
        SELECT 1 FROM attempt WHERE task_id = ?1 AND epoch = ?2 AND token = ?3 AND retried_by <> ?4)";

pub(super) fn was_committed(db: &Connection, holder: Holder) -> Result<bool, StoreError> {
    match holder {
        Holder::Worker(worker, task) => db.one(COMMITTED_BY_WORKER, [task.0, worker.0], only),
        Holder::Lease(key) => {
            let params = params![key.task.0, key.epoch.0, key.token.0, RetriedBy::Loss.code()];
            db.one(COMMITTED_BY_ATTEMPT, params, only)
        }
    }
}

const INSERT_DONE: &str = "
    INSERT INTO done (task_id, state, exit_status, message, reporter_uuid, reporter_worker_id,
                      epoch, token, claimed_at, finished_at, data, warnings,
                      wall_micros, cpu_micros, peak_memory, output_bytes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

fn insert_done(
    db: &Connection,
    lease: &Lease,
    reporter: Uuid,
    end: ExecEnd,
    AttemptEnd { result, data, warnings, usage }: AttemptEnd<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let WorkerId(worker) = lease.worker;
    let usage = usage.map(StoredUsage::from);
    db.run_one(
        INSERT_DONE,
        params![
            lease.key.task.0,
            end.code(),
            result.exit_status.0,
            result.msg.map(Code::code),
            reporter,
            worker,
            lease.key.epoch.0,
            lease.key.token.0,
            lease.claimed_at.unix_micros(),
            now.unix_micros(),
            data,
            warnings_to_json(warnings)?,
            usage.map(|usage| usage.wall_micros),
            usage.map(|usage| usage.cpu_micros),
            usage.map(|usage| usage.peak_memory),
            usage.map(|usage| usage.output_bytes),
        ],
    )
}
