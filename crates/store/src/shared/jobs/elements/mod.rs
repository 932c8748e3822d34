//! Element-wise needs: each task of a job waits for the success of the task with the same index of another job.
//!
//! A waiting task that needs others is a row of `ready` that is held, with one bit in `blocked` for each job of which it
//! needs a task. The transaction that ends a task clears the bit of those that need it, or cancels them ([`settle`]). The
//! transaction that writes tasks looks up what they need ([`written`]). Both lock the rows of `job_dependency` between the two
//! jobs before they look, so that one of them sees the other. A retry does the same ([`reopened`]).

pub(crate) mod needs;
pub(super) mod reopened;
pub(crate) mod settle;
pub(super) mod written;

use std::collections::{BTreeMap, BTreeSet};

use mitosis_domain::ids::JobId;

use crate::StoreError;
use crate::db::{Db, List, Row, Sql, sql};

/// A task of a job that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndedElement {
    pub(crate) task: i64,
    pub(crate) job: JobId,
    pub(crate) succeeded: bool,
}

/// A job whose tasks need those of another job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    dependent: JobId,
    needed: JobId,
    /// The bit of the needed job in the rows of the dependent one.
    mask: i64,
    first_id: i64,
    needed_first_id: i64,
    needed_written: u64,
    /// Tasks of the dependent job wait for a coordinator that releases them, because the job is paused or has a limit.
    is_held: bool,
}

impl Link {
    /// The id of the task that needs this one.
    const fn dependent_of(&self, needed: i64) -> i64 {
        needed - self.needed_first_id + self.first_id
    }
}

macro_rules! select_links {
    ($which:literal) => {
        concat!(
            "
    SELECT x.job_id, x.needed_id, x.mask, j.first_id, n.first_id AS needed_first_id, n.written AS needed_written,
           j.paused OR j.max_running IS NOT NULL AS is_held
    FROM job_dependency x INNER JOIN job j ON j.id = x.job_id INNER JOIN job n ON n.id = x.needed_id
    WHERE ",
            $which,
            " AND x.kind = 2 ORDER BY x.job_id, x.needed_id"
        )
    };
}

const LINKS_TO: Sql = sql!(select_links!("x.needed_id = ANY($1)"));

const LINKS_OF: Sql = sql!(select_links!("x.job_id = $1"));

/// The jobs whose tasks need those of the given ones.
async fn links_to(db: Db<'_>, needed: &[i64]) -> Result<Vec<Link>, StoreError> {
    db.all(LINKS_TO, &[&List(needed)], read_link).await
}

/// The jobs of which the tasks of a job need some.
pub(super) async fn links_of(db: Db<'_>, dependent: JobId) -> Result<Vec<Link>, StoreError> {
    db.all(LINKS_OF, &[&dependent.0], read_link).await
}

fn read_link(row: &Row<'_>) -> Result<Link, StoreError> {
    Ok(Link {
        dependent: JobId(row.value("job_id")?),
        needed: JobId(row.value("needed_id")?),
        mask: row.value("mask")?,
        first_id: row.value("first_id")?,
        needed_first_id: row.value("needed_first_id")?,
        needed_written: row.value::<i64>("needed_written")?.unsigned_abs(),
        is_held: row.value("is_held")?,
    })
}

/// Excludes transactions that end, write or reopen tasks at the two ends of these links, until the end of this one.
const LOCK_LINKS_OF: &str =
    "SELECT 1 FROM job_dependency WHERE job_id = $1 AND kind = 2 ORDER BY needed_id FOR UPDATE";

/// Excludes those that end tasks which the tasks of a job need.
pub(super) async fn lock_links_of(db: Db<'_>, dependent: JobId) -> Result<(), StoreError> {
    db.lock(LOCK_LINKS_OF, &[&dependent.0]).await
}

const DEPENDENTS: Sql =
    sql!("SELECT job_id FROM job_dependency WHERE needed_id = $1 AND kind = 2 ORDER BY job_id");

/// The jobs whose tasks need those of a job: they may write more when it has.
pub(super) async fn dependents(db: Db<'_>, needed: JobId) -> Result<Vec<JobId>, StoreError> {
    db.all(DEPENDENTS, &[&needed.0], |row| row.get(0).map(JobId)).await
}

/// The numbers of the jobs, each once.
fn distinct(jobs: impl Iterator<Item = JobId>) -> Vec<i64> {
    jobs.map(|job| job.0).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The links by needed job.
fn by_needed(links: &[Link]) -> BTreeMap<JobId, Vec<&Link>> {
    let mut by_needed: BTreeMap<JobId, Vec<&Link>> = BTreeMap::new();
    for link in links {
        by_needed.entry(link.needed).or_default().push(link);
    }
    by_needed
}

/// The condition that an ended task succeeded; its row in `done` has this alias. It follows
/// [`mitosis_domain::task::outcome`].
macro_rules! succeeded {
    ($done:literal) => {
        concat!(
            $done,
            ".state = 3 AND ",
            $done,
            ".exit_status = 0 AND coalesce(",
            $done,
            ".message, -1) NOT IN (1, 2, 6, 10)"
        )
    };
}
pub(super) use succeeded;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_searches_links_by_both_ends() {
        assert_searches(LINKS_TO, &["x", "j", "n"]);
        assert_searches(LINKS_OF, &["x", "j", "n"]);
    }
}
