//! The counts of written tasks by state.
//!
//! A transaction that moves tasks of a job adds the change to the counts of the job, once per job. On PostgreSQL, the
//! counts of a job are spread over several rows, so that concurrent transactions rarely wait for each other.

use std::collections::{BTreeMap, BTreeSet};

use mitosis_domain::ids::JobId;

use crate::db::{Db, List, Params, Row, Sql, only, sql};
use crate::ops::Effects;
use crate::ops::jobs::CountChange;
use crate::{StoreError, postgres};

/// The changes of a transaction.
#[derive(Debug, Default)]
pub(crate) struct CountChanges {
    changes: BTreeMap<JobId, CountChange>,
    /// Jobs whose ended tasks are settled: the tasks that need them know it.
    settled: BTreeSet<JobId>,
}

impl CountChanges {
    /// Adds a change; tasks without a job are not counted.
    pub(crate) fn add(&mut self, job: Option<JobId>, change: CountChange) {
        if let Some(job) = job {
            self.changes.entry(job).or_default().add(change);
        }
    }

    /// Notes that the tasks that need those of these jobs know of their ends.
    pub(crate) fn settled(&mut self, jobs: &[i64]) {
        self.settled.extend(jobs.iter().copied().map(JobId));
    }

    /// Writes the changes, at the end of the transaction: other transactions may wait for the rows. Returns the effects
    /// on the jobs.
    pub(crate) async fn write(mut self, db: Db<'_>) -> Result<Effects, StoreError> {
        let effects = Effects::jobs(self.changes.keys().copied().collect());
        self.changes.retain(|_, change| !change.is_zero());
        match db {
            Db::Postgres(session) if self.changes.len() > 1 => {
                let of =
                    |column: fn(&CountChange) -> i64| self.changes.values().map(column).collect::<Vec<_>>();
                let jobs: Vec<i64> = self.changes.keys().map(|job| job.0).collect();
                let (waiting, blocked, running) = (of(|c| c.waiting), of(|c| c.blocked), of(|c| c.running));
                let (succeeded, failed) = (of(|c| c.succeeded), of(|c| c.failed));
                let (timed_out, cancelled) = (of(|c| c.timed_out), of(|c| c.cancelled));
                let params: postgres::session::Params<'_> =
                    &[&jobs, &waiting, &blocked, &running, &succeeded, &failed, &timed_out, &cancelled];
                let needed: Vec<_> = session.all(ADD_ALL, params, read_needed).await?;
                self.check_settled(db, &needed).await?;
            }
            Db::Postgres(_) | Db::Sqlite(_) => {
                for (job, change) in &self.changes {
                    let CountChange { waiting, blocked, running, succeeded, failed, timed_out, cancelled } =
                        change;
                    let params: Params<'_> =
                        &[&job.0, waiting, blocked, running, succeeded, failed, timed_out, cancelled];
                    let needed = db.one(ADD, params, read_needed).await?;
                    self.check_settled(db, &[needed]).await?;
                }
            }
        }
        Ok(effects)
    }

    /// A job that was submitted meanwhile may need the tasks that this transaction ended. The row that it just wrote knows
    /// that, and the transaction is repeated.
    async fn check_settled(&self, db: Db<'_>, needed: &[(JobId, bool)]) -> Result<(), StoreError> {
        let is_missed = |(job, is_needed): &&(JobId, bool)| {
            let ended = self.changes.get(job).is_some_and(CountChange::ends_tasks);
            *is_needed && ended && !self.settled.contains(job)
        };
        let missed: Vec<i64> = needed.iter().filter(is_missed).map(|(job, _)| job.0).collect();
        // The job that needed them may have been deleted.
        if !missed.is_empty() && db.one(ARE_NEEDED, &[&List(&missed)], only).await? {
            return Err(postgres::newly_needed());
        }
        Ok(())
    }
}

const ARE_NEEDED: Sql =
    sql!("SELECT EXISTS (SELECT 1 FROM job_dependency WHERE needed_id = ANY($1) AND kind = 2)");

fn read_needed(row: &Row<'_>) -> Result<(JobId, bool), StoreError> {
    Ok((JobId(row.value("job_id")?), row.value("is_needed")?))
}

/// Adds the values of the new row to those of the existing one.
macro_rules! or_add {
    () => {
        "
    ON CONFLICT (job_id, shard) DO UPDATE SET
        waiting = job_count.waiting + excluded.waiting,
        blocked = job_count.blocked + excluded.blocked,
        running = job_count.running + excluded.running,
        succeeded = job_count.succeeded + excluded.succeeded,
        failed = job_count.failed + excluded.failed,
        timed_out = job_count.timed_out + excluded.timed_out,
        cancelled = job_count.cancelled + excluded.cancelled"
    };
}

const ADD: Sql = sql!(
    postgres: concat!(
        "
    INSERT INTO job_count (job_id, shard, waiting, blocked, running, succeeded, failed, timed_out, cancelled)
    VALUES ($1, (pg_backend_pid() % 16)::smallint, $2, $3, $4, $5, $6, $7, $8)",
        or_add!(),
        " RETURNING job_id, is_needed"
    ),
    sqlite: concat!(
        "
    INSERT INTO job_count (job_id, shard, waiting, blocked, running, succeeded, failed, timed_out, cancelled)
    VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        or_add!(),
        // With a single writer, no job is submitted meanwhile.
        " RETURNING job_id, FALSE AS is_needed"
    ),
);

/// In the order of the jobs, so that two transactions can't deadlock.
const ADD_ALL: &str = concat!(
    "
    INSERT INTO job_count (job_id, shard, waiting, blocked, running, succeeded, failed, timed_out, cancelled)
    SELECT job_id, (pg_backend_pid() % 16)::smallint, waiting, blocked, running, succeeded, failed, timed_out, cancelled
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[]) AS change (job_id, waiting, blocked, running, succeeded, failed, timed_out, cancelled)
    ORDER BY job_id",
    or_add!(),
    " RETURNING job_id, is_needed"
);

/// Creates the row of every shard, so that none is created later, and waits for transactions that have changed one.
const NOTE_NEEDED: &str = "
    INSERT INTO job_count (job_id, shard, waiting, running, succeeded, failed, timed_out, cancelled, is_needed)
    SELECT job_id, shard, 0, 0, 0, 0, 0, 0, TRUE
    FROM unnest($1::bigint[]) AS needed (job_id), generate_series(0, 15) AS shards (shard)
    ORDER BY job_id, shard
    ON CONFLICT (job_id, shard) DO UPDATE SET is_needed = TRUE";

/// Notes that tasks of another job need those of these jobs, which other transactions may be ending.
pub(super) async fn note_needed(db: Db<'_>, jobs: &[i64]) -> Result<(), StoreError> {
    match jobs.is_empty() {
        true => Ok(()),
        false => db.lock(NOTE_NEEDED, &[&List(jobs)]).await,
    }
}
