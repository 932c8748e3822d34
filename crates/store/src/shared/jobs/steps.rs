//! The steps of a job that a coordinator plans. Each checks its condition again, while it holds the row of the job.

use mitosis_domain::failpoints;
use mitosis_domain::ids::{GroupId, JobId, LimitSetId, TaskId, UserId};
use mitosis_domain::index_set::IndexSet;
use mitosis_domain::job_plan::WrittenCounts;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::job::{NeedKind, StopCause};
use mitosis_protocol::{TaskResultMessage, Timestamp};

use super::super::tasks::end_ready;
use super::super::tasks::insert::{NewRow, Slot, insert_ready};
use super::super::webhooks::write as webhooks;
use super::counts::CountChanges;
use super::elements;
use super::elements::written::{self, are_written};
use super::read::{self, Reserved, count_of, counts, read_counts};
use super::{STOP, ranges};
use crate::StoreError;
use crate::db::{Db, List, Params, Row, Sql, only, sql};
use crate::enum_codes::{Code, row_count};
use crate::ops::jobs::{CountChange, JobTasks};
use crate::ops::{Changed, Effects};

/// A job whose row is locked until the end of the transaction.
pub(super) struct Locked {
    pub(super) group: GroupId,
    pub(super) creator: UserId,
    pub(super) size: u64,
    pub(super) first_id: i64,
    pub(super) first_number: i64,
    pub(super) written: u64,
    pub(super) priority: i32,
    /// Tasks that are written as cancelled.
    pub(super) skipped: IndexSet,
    pub(super) paused: bool,
    pub(super) stopped: Option<StopCause>,
    pub(super) unmet: i64,
    pub(super) start_after: Option<Timestamp>,
    pub(super) max_running: Option<i64>,
    /// The number of jobs of which each task needs one.
    pub(super) element_needs: i64,
    pub(super) limits: Option<LimitSetId>,
    pub(super) has_ended: bool,
    pub(super) group_is_gone: bool,
    /// The number of notifications that its end may cause.
    notifications: i64,
}

/// Waits for a concurrent deletion of the group.
const LOCK: Sql = sql!(
    "
    SELECT j.group_id, j.creator_id, j.size, j.first_id, j.first_number, j.written, j.priority, j.skipped, j.paused, j.stop_cause,
           j.unmet, j.start_after, j.max_running, j.limit_set_id, j.ended_at IS NOT NULL AS has_ended, g.state = $2 AS group_is_gone,
           (SELECT count(*) FROM job_dependency x WHERE x.job_id = j.id AND x.kind = 2) AS element_needs,
           (SELECT count(*) FROM job_notify n WHERE n.job_id = j.id) AS notifications
    FROM job j INNER JOIN groups g ON g.id = j.group_id
    WHERE j.id = $1 FOR UPDATE OF j FOR KEY SHARE OF g"
);

/// Locks the row of a job.
pub(super) async fn lock(db: Db<'_>, id: JobId) -> Result<Option<Locked>, StoreError> {
    db.optional(LOCK, &[&id.0, &AccountState::Deleted.code()], |row| {
        Ok(Locked {
            group: GroupId(row.value("group_id")?),
            creator: UserId(row.value("creator_id")?),
            size: row.value::<i64>("size")?.unsigned_abs(),
            first_id: row.value("first_id")?,
            first_number: row.value("first_number")?,
            written: row.value::<i64>("written")?.unsigned_abs(),
            priority: row.value("priority")?,
            skipped: row.optional_json("skipped")?.unwrap_or_default(),
            paused: row.value("paused")?,
            stopped: row.optional_code("stop_cause")?,
            unmet: row.value("unmet")?,
            start_after: row.optional_time("start_after")?,
            max_running: row.value("max_running")?,
            element_needs: row.value("element_needs")?,
            limits: row.value::<Option<_>>("limit_set_id")?.map(LimitSetId),
            has_ended: row.value("has_ended")?,
            group_is_gone: row.value("group_is_gone")?,
            notifications: row.value("notifications")?,
        })
    })
    .await
}

impl Locked {
    /// Whether held tasks may be released at a time. Tasks of a stopped job wait only if they were retried.
    fn may_release(&self, now: Timestamp) -> bool {
        let is_free = !self.paused && !self.has_ended && !self.group_is_gone;
        is_free && self.unmet == 0 && self.start_after.is_none_or(|at| at <= now)
    }

    /// Whether tasks may be written at a time.
    fn may_write(&self, now: Timestamp) -> bool {
        self.stopped.is_none() && self.may_release(now)
    }

    /// Whether its tasks need those of other jobs.
    pub(super) fn is_element_wise(&self) -> bool {
        self.element_needs > 0
    }

    /// The ids that the job reserved.
    pub(super) fn reserved(&self) -> Reserved {
        Reserved { first: self.first_id, size: self.size }
    }

    /// The id of the last task.
    pub(super) fn last_id(&self) -> i64 {
        self.first_id + row_count(self.size) - 1
    }

    fn slot(&self, id: JobId, position: i64) -> Slot {
        let reserved = Some((TaskId(self.first_id + position), id));
        Slot { reserved, limits: self.limits, ..Slot::single(self.first_number + position) }
    }
}

const COUNTS: Sql = sql!(concat!("SELECT ", counts!(), " FROM job j WHERE j.id = $1"));

/// The counts of a locked job.
pub(super) async fn counts_of(db: Db<'_>, id: JobId) -> Result<WrittenCounts, StoreError> {
    db.one(COUNTS, &[&id.0], read_counts).await
}

const HELD: Sql = sql!("SELECT count(*) FROM ready WHERE held AND blocked = 0 AND task_id BETWEEN $1 AND $2");

/// How many more tasks of a locked job may wait for a worker or run.
async fn room(db: Db<'_>, id: JobId, job: &Locked) -> Result<i64, StoreError> {
    let Some(most) = job.max_running else { return Ok(i64::MAX) };
    let counts = counts_of(db, id).await?;
    let held: i64 = db.one(HELD, &[&job.first_id, &job.last_id()], only).await?;
    let idle = held + row_count(counts.blocked);
    Ok((most + idle - row_count(counts.waiting + counts.running)).max(0))
}

const SET_WRITTEN: Sql = sql!("UPDATE job SET written = $2, updated_at = $3 WHERE id = $1");

/// Writes the next tasks.
pub(super) async fn write(
    db: Db<'_>,
    id: JobId,
    written: u64,
    rows: &[NewRow],
    now: Timestamp,
) -> Result<Changed<bool>, StoreError> {
    let Some(job) = lock(db, id).await? else { return Ok(Changed::nothing(false)) };
    let (count, from) = (row_count(rows.len()), row_count(written));
    let positions = (written, written + rows.len() as u64);
    let links = if job.is_element_wise() { elements::links_of(db, id).await? } else { Vec::new() };
    let fits = positions.1 <= job.size
        && match links.is_empty() {
            true => count <= room(db, id, &job).await?,
            false => are_written(&links, positions),
        };
    let is_changed = job.written != written || rows.iter().any(|row| row.priority != job.priority);
    if rows.is_empty() || is_changed || !job.may_write(now) || !fits {
        return Ok(Changed::nothing(false));
    }
    failpoints::point("jobs.write:before");
    db.run_one(SET_WRITTEN, &[&id.0, &(from + count), &now.unix_micros()]).await?;
    let blocked = written::blocked(db, &links, positions).await?;
    let is_held = !links.is_empty() && job.max_running.is_some();
    let slots = (from..from + count).zip(&blocked).map(|(position, blocked)| Slot {
        blocked: *blocked,
        held: *blocked != 0 || is_held,
        ..job.slot(id, position)
    });
    insert_ready(db, job.creator, rows, &slots.collect::<Vec<_>>(), now).await?;
    let mut counts = CountChanges::default();
    let count_blocked = row_count(blocked.iter().filter(|blocked| **blocked != 0).count());
    counts.add(Some(id), CountChange { waiting: count, blocked: count_blocked, ..CountChange::default() });
    let mut effects = Effects { ready: true, ..Effects::default() };
    if count_blocked > 0 {
        failpoints::point("jobs.write:blocked");
        let new = (positions, &blocked[..]);
        effects.add(written::settle_written(db, (id, &links), new, &mut counts, now).await?);
    }
    effects.add(counts.write(db).await?);
    effects.add(skip(db, &job, positions, now).await?);
    effects.jobs.extend(elements::dependents(db, id).await?);
    failpoints::point("jobs.write:after");
    Ok(effects.with(true))
}

/// Cancels those of the tasks just written, after position `from`, that were cancelled before they were written.
async fn skip(
    db: Db<'_>,
    job: &Locked,
    (from, to): (u64, u64),
    now: Timestamp,
) -> Result<Effects, StoreError> {
    if job.skipped.is_empty() {
        return Ok(Effects::default());
    }
    let written = Reserved { first: job.first_id, size: to };
    let tasks = JobTasks { indices: job.skipped.ranges().to_vec(), states: Vec::new() };
    let skipped: Vec<i64> =
        ranges::ids(&written, &tasks, from).into_iter().flat_map(|(first, last)| first..=last).collect();
    let skipped = end_ready(db, &skipped, TaskResultMessage::UserCancellation, now).await?;
    Ok(skipped.into_parts().1)
}

const RELEASE: Sql = sql!(
    "
    UPDATE ready SET held = FALSE, held_until = NULL
    WHERE task_id IN (
        SELECT task_id FROM ready
        WHERE held AND blocked = 0 AND task_id BETWEEN $1 AND $2 AND (held_until IS NULL OR held_until <= $3)
        ORDER BY task_id LIMIT $4)"
);

/// Allows held tasks to run, in order.
pub(super) async fn release(
    db: Db<'_>,
    id: JobId,
    count: u64,
    now: Timestamp,
) -> Result<Changed<u64>, StoreError> {
    let Some(job) = lock(db, id).await? else { return Ok(Changed::nothing(0)) };
    let count = room(db, id, &job).await?.min(row_count(count));
    if !job.may_release(now) || count == 0 {
        return Ok(Changed::nothing(0));
    }
    let params: Params<'_> = &[&job.first_id, &job.last_id(), &now.unix_micros(), &count];
    let released = db.run(RELEASE, params).await?;
    Ok(Effects { ready: released > 0, ..Effects::jobs(vec![id]) }.with(released))
}

const SET_ENDED: Sql = sql!("UPDATE job SET ended_at = $2, updated_at = $2 WHERE id = $1");

/// Records the end of a job, and what it means for the jobs that wait for it.
pub(super) async fn end(db: Db<'_>, id: JobId, now: Timestamp) -> Result<Changed<bool>, StoreError> {
    let Some(job) = lock(db, id).await? else { return Ok(Changed::nothing(false)) };
    let counts = counts_of(db, id).await?;
    let is_written = counts.waiting + counts.running + counts.ended() == job.size;
    if job.has_ended || counts.waiting + counts.running > 0 || !(is_written || job.stopped.is_some()) {
        return Ok(Changed::nothing(false));
    }
    db.run_one(SET_ENDED, &[&id.0, &now.unix_micros()]).await?;
    if job.notifications > 0 {
        notify(db, id, now).await?;
    }
    failpoints::point("jobs.end:after");
    let mut effects = Effects::jobs(vec![id]);
    effects.jobs.extend(meet(db, id, counts.succeeded == job.size, now).await?);
    if counts.succeeded < job.size {
        effects.jobs.extend(fail(db, id, now).await?);
    }
    Ok(effects.with(true))
}

/// Writes the notifications about the end of a job.
async fn notify(db: Db<'_>, id: JobId, now: Timestamp) -> Result<(), StoreError> {
    match read::job(db, id).await? {
        Some(job) => webhooks::enqueue(db, &job, now).await,
        None => Ok(()),
    }
}

const MEET: Sql = sql!(
    "
    UPDATE job_dependency SET met = TRUE
    WHERE needed_id = $1 AND NOT met AND (kind <> $2 OR $3::boolean)
    RETURNING job_id, kind"
);

/// The order prevents deadlocks.
const LOCK_JOBS: &str = "SELECT 1 FROM job WHERE id = ANY($1) ORDER BY id FOR UPDATE";

const COUNT_DOWN: Sql = sql!("UPDATE job SET unmet = unmet - 1, updated_at = $2 WHERE id = ANY($1)");

/// Meets the dependencies on an ended job; returns the jobs that wait for less now.
async fn meet(db: Db<'_>, id: JobId, succeeded: bool, now: Timestamp) -> Result<Vec<JobId>, StoreError> {
    let met: Vec<(i64, NeedKind)> = db
        .all(MEET, &[&id.0, &NeedKind::Succeeded.code(), &succeeded], |row| {
            Ok((row.value("job_id")?, row.code("kind")?))
        })
        .await?;
    // Jobs that need single tasks don't wait for the end.
    let waiting: Vec<i64> =
        met.iter().filter(|(_, kind)| *kind != NeedKind::Each).map(|(job, _)| *job).collect();
    if !waiting.is_empty() {
        db.lock(LOCK_JOBS, &[&List(&waiting)]).await?;
        db.run(COUNT_DOWN, &[&List(&waiting), &now.unix_micros()]).await?;
    }
    Ok(met.into_iter().map(|(job, _)| JobId(job)).collect())
}

const FAIL: Sql = sql!(
    "
    UPDATE job SET stop_cause = $2, stop_job_id = $1, updated_at = $3
    WHERE id IN (SELECT job_id FROM job_dependency WHERE needed_id = $1 AND NOT met AND kind <> 2)
      AND ended_at IS NULL AND stop_cause IS NULL
    RETURNING id"
);

/// Stops the jobs that need the success of a job that did not succeed.
async fn fail(db: Db<'_>, id: JobId, now: Timestamp) -> Result<Vec<JobId>, StoreError> {
    db.all(FAIL, &[&id.0, &StopCause::DependencyFailed.code(), &now.unix_micros()], read_id).await
}

fn read_id(row: &Row<'_>) -> Result<JobId, StoreError> {
    row.get(0).map(JobId)
}

/// The number of waiting tasks that a stop cancels at once; the others follow in further calls.
const STOP_BATCH: i64 = 2_000;

/// Ensures that no more tasks are written, and cancels those that wait.
pub(super) async fn stop(
    db: Db<'_>,
    id: JobId,
    cause: StopCause,
    now: Timestamp,
) -> Result<Changed<bool>, StoreError> {
    let Some(job) = lock(db, id).await? else { return Ok(Changed::nothing(false)) };
    db.run(STOP, &[&id.0, &cause.code(), &now.unix_micros()]).await?;
    let waiting = waiting_between(db, job.first_id, job.last_id(), STOP_BATCH).await?;
    let mut effects = Effects::jobs(vec![id]);
    effects.keep(end_ready(db, &waiting, TaskResultMessage::UserCancellation, now).await?);
    Ok(effects.with(row_count(waiting.len()) == STOP_BATCH))
}

const WAITING: Sql =
    sql!("SELECT task_id FROM ready WHERE task_id BETWEEN $1 AND $2 ORDER BY task_id LIMIT $3");

/// The first waiting tasks in a range of ids.
pub(super) async fn waiting_between(
    db: Db<'_>,
    first: i64,
    last: i64,
    limit: i64,
) -> Result<Vec<i64>, StoreError> {
    db.all(WAITING, &[&first, &last, &limit], only).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_job() {
        assert_searches(LOCK, &["j", "g", "x", "n"]);
        assert_searches(HELD, &["ready"]);
        assert_searches(RELEASE, &["ready", "ready"]);
        assert_searches(WAITING, &["ready"]);
        assert_searches(MEET, &["job_dependency"]);
        assert_searches(FAIL, &["job", "job_dependency"]);
    }
}
