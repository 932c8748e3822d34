//! The end of a task: the result, its artifacts and its follow-up become visible together.

use mitosis_domain::failpoints;
use mitosis_domain::ids::{GroupId, JobId, UserId, WorkerId};
use mitosis_domain::task::{ExecEnd, outcome};
use mitosis_protocol::job::TaskOutcome;
use mitosis_protocol::{ResultWarning, TaskResult, Timestamp};
use rusqlite::params;
use uuid::Uuid;

use crate::StoreError;
use crate::db::{only, warnings_to_json};
use crate::enum_codes::Code;
use crate::ops::dispatch::{Completed, Completion, Holder};
use crate::ops::jobs::CountChange;
use crate::ops::{Changed, Effects};
use crate::shared::artifacts::records;
use crate::shared::dispatch::follow_up;
use crate::shared::dispatch::lease::{self, Lease};
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
    let ended = AttemptEnd { result: completion.result, data: None, warnings: &[] };
    let Some(worker) = finish(workers::lock(db.into(), lease.worker))? else { return Ok(Completed::Stale) };
    let ended = effects.keep(self::end(db, &lease, worker.uuid, end, ended, counts, now)?);
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
}

const ENDED_TASK: &str = "
    SELECT uuid, job_id, group_id, creator_id,
        EXISTS (SELECT 1 FROM job_dependency x WHERE x.needed_id = task.job_id AND x.kind = 2) AS is_needed
    FROM task WHERE id = ?1";

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

/// Ends an attempt that holds its task, and makes its follow-up Ready unless there is another attempt.
pub(super) fn end(
    db: &Connection,
    lease: &Lease,
    reporter: Uuid,
    end: ExecEnd,
    ended: AttemptEnd<'_>,
    counts: &mut CountChanges,
    now: Timestamp,
) -> Result<Changed<EndedTask>, StoreError> {
    let result = ended.result;
    let outcome = outcome(end, result);
    // A request to stop that comes after the end has no effect.
    failpoints::point("complete.delete:before");
    let ended_lease = finish(lease::end(db.into(), lease.key.task))?;
    failpoints::point("complete.delete:after");
    insert_done(db, lease, reporter, end, ended, now)?;
    finish(records::publish_attempt(db.into(), lease.key.task, lease.key.epoch, now))?;
    let (uuid, job, group, creator, is_needed) = db.one(ENDED_TASK, [lease.key.task.0], |row| {
        let job = row.get::<Option<i64>>(1)?.map(JobId);
        Ok((row.get::<Uuid>(0)?, job, GroupId(row.get(2)?), UserId(row.get(3)?), row.get::<bool>(4)?))
    })?;
    counts.add(job, CountChange { running: -1, ..CountChange::ended(outcome, 1) });
    let failed: Vec<Failed> = Failed::of(lease.key.task, job, end, result).into_iter().collect();
    let retries = finish(auto_retry::decide(db.into(), &failed, now))?;
    let mut effects = Effects { ready: ended_lease.is_limited, ..Effects::ended(vec![uuid]) };
    match retries.includes(lease.key.task) {
        true => finish(follow_up::drop_pending(db.into(), lease.key.task, now))?,
        false => effects.add(finish(follow_up::release(db.into(), lease.key.task, lease.key.epoch, now))?),
    }
    let job = job.filter(|_| is_needed && !retries.includes(lease.key.task));
    let succeeded = outcome == TaskOutcome::Succeeded;
    let element = job.map(|job| EndedElement { task: lease.key.task.0, job, succeeded });
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
                      epoch, token, claimed_at, finished_at, data, warnings)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

fn insert_done(
    db: &Connection,
    lease: &Lease,
    reporter: Uuid,
    end: ExecEnd,
    AttemptEnd { result, data, warnings }: AttemptEnd<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let WorkerId(worker) = lease.worker;
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
        ],
    )
}
