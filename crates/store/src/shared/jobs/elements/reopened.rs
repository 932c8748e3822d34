//! What retries mean for the tasks that need the retried ones.

use std::collections::BTreeMap;

use mitosis_domain::ids::JobId;
use mitosis_protocol::Timestamp;

use super::super::counts::CountChanges;
use super::super::reopen::{Hold, RetriedBy, reopen};
use super::{by_needed, distinct, links_to, succeeded};
use crate::StoreError;
use crate::db::{Db, List, Row, Sql, sql};
use crate::ops::Effects;
use crate::ops::jobs::CountChange;

/// The condition that a task needs one that has ended without success; `t` is its row, `j` that of its job.
macro_rules! needs_failed {
    () => {
        concat!(
            "EXISTS (
        SELECT 1 FROM job_dependency x INNER JOIN job n ON n.id = x.needed_id
            INNER JOIN done u ON u.task_id = n.first_id + t.id - j.first_id
        WHERE x.job_id = j.id AND x.kind = 2 AND NOT (",
            succeeded!("u"),
            "))"
        )
    };
}

/// The bits of what a task waits for; `t` is its row, `j` that of its job. Tasks that were deleted block nothing.
macro_rules! blocked_by {
    () => {
        concat!(
            "coalesce((
        SELECT sum(x.mask) FROM job_dependency x INNER JOIN job n ON n.id = x.needed_id
            INNER JOIN task v ON v.id = n.first_id + t.id - j.first_id
        WHERE x.job_id = j.id AND x.kind = 2 AND NOT EXISTS (
            SELECT 1 FROM done u WHERE u.task_id = v.id AND ",
            succeeded!("u"),
            ")), 0)::bigint"
        )
    };
}
pub(in super::super) use {blocked_by, needs_failed};

/// Jobs are locked before their links.
const LOCK_JOBS: &str = "
    SELECT 1 FROM job WHERE id IN (SELECT job_id FROM job_dependency WHERE needed_id = ANY($1) AND kind = 2)
    ORDER BY id FOR UPDATE";

/// Excludes others at all links of the jobs that need the given ones.
const LOCK_LINKS: &str = "
    SELECT 1 FROM job_dependency
    WHERE kind = 2 AND job_id IN (SELECT job_id FROM job_dependency WHERE needed_id = ANY($1) AND kind = 2)
    ORDER BY job_id, needed_id FOR UPDATE";

/// Those of the tasks that were cancelled because of others, and would not be again at once.
const CANCELLED: Sql = sql!(concat!(
    "
    SELECT t.id, t.job_id, ",
    blocked_by!(),
    " AS blocked
    FROM done d INNER JOIN task t ON t.id = d.task_id INNER JOIN job j ON j.id = t.job_id
    WHERE d.task_id = ANY($1) AND d.message = 10 AND NOT ",
    needs_failed!(),
    "
    ORDER BY t.id FOR NO KEY UPDATE OF t"
));

const REOPEN_JOBS: Sql = sql!("UPDATE job SET ended_at = NULL, updated_at = $2 WHERE id = ANY($1)");

/// They were set when the needed job ended.
const UNMEET: Sql =
    sql!("UPDATE job_dependency SET met = FALSE WHERE needed_id = ANY($1) AND kind = 2 AND met");

/// Lets tasks wait again that were cancelled because they need the given ones, and those that need these, level by level.
/// Returns their jobs.
pub(in super::super) async fn reopen_dependents(
    db: Db<'_>,
    job: JobId,
    tasks: &[i64],
    counts: &mut CountChanges,
    now: Timestamp,
) -> Result<(Effects, Vec<JobId>), StoreError> {
    let (mut effects, mut reopened) = (Effects::default(), Vec::new());
    db.run(UNMEET, &[&List(&[job.0])]).await?;
    let mut level: Vec<(JobId, i64)> = tasks.iter().map(|task| (job, *task)).collect();
    while !level.is_empty() {
        level = reopen_level(db, &level, (counts, &mut effects), now).await?;
        let jobs = distinct(level.iter().map(|(job, _)| *job));
        if !jobs.is_empty() {
            db.run(REOPEN_JOBS, &[&List(&jobs), &now.unix_micros()]).await?;
            db.run(UNMEET, &[&List(&jobs)]).await?;
        }
        reopened.extend(jobs.into_iter().map(JobId));
    }
    Ok((effects, reopened))
}

/// Reopens the tasks that need these; returns them.
async fn reopen_level(
    db: Db<'_>,
    level: &[(JobId, i64)],
    (counts, effects): (&mut CountChanges, &mut Effects),
    now: Timestamp,
) -> Result<Vec<(JobId, i64)>, StoreError> {
    let needed = distinct(level.iter().map(|(job, _)| *job));
    db.lock(LOCK_JOBS, &[&List(&needed)]).await?;
    db.lock(LOCK_LINKS, &[&List(&needed)]).await?;
    let links = links_to(db, &needed).await?;
    let by_needed = by_needed(&links);
    let of = |(job, task): &(JobId, i64)| {
        let (links, task) = (by_needed.get(job), *task);
        links.into_iter().flatten().map(move |link| link.dependent_of(task))
    };
    let dependents: Vec<i64> = level.iter().flat_map(of).collect();
    if dependents.is_empty() {
        return Ok(Vec::new());
    }
    let cancelled: Vec<Reopened> = db.all(CANCELLED, &[&List(&dependents)], read_blocked).await?;
    let mut by_bits: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for one in &cancelled {
        by_bits.entry(one.blocked).or_default().push(one.task);
        let change = CountChange { waiting: 1, blocked: 1, cancelled: -1, ..CountChange::default() };
        counts.add(Some(one.job), change);
    }
    for (blocked, tasks) in by_bits {
        effects.add(reopen(db, &tasks, RetriedBy::User, Hold::Blocked(blocked), now).await?);
    }
    Ok(cancelled.into_iter().map(|one| (one.job, one.task)).collect())
}

/// A task and what it waits for.
struct Reopened {
    task: i64,
    job: JobId,
    blocked: i64,
}

fn read_blocked(row: &Row<'_>) -> Result<Reopened, StoreError> {
    Ok(Reopened { task: row.value("id")?, job: JobId(row.value("job_id")?), blocked: row.value("blocked")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_cancelled_tasks() {
        assert_searches(CANCELLED, &["d", "t", "j", "x", "n", "u", "x", "n", "v", "u"]);
        assert_searches(UNMEET, &["job_dependency"]);
    }
}
