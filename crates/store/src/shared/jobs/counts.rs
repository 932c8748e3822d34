//! The counts of written tasks by state.
//!
//! A transaction that moves tasks of a job adds the change to the counts of the job, once per job. On PostgreSQL, the
//! counts of a job are spread over several rows, so that concurrent transactions rarely wait for each other.

use std::collections::BTreeMap;

use mitosis_domain::ids::JobId;

use crate::StoreError;
use crate::db::{Db, Params, Sql, sql};
use crate::ops::Effects;
use crate::ops::jobs::CountChange;

/// The changes of a transaction.
#[derive(Debug, Default)]
pub(crate) struct CountChanges(BTreeMap<JobId, CountChange>);

impl CountChanges {
    /// Adds a change; tasks without a job are not counted.
    pub(crate) fn add(&mut self, job: Option<JobId>, change: CountChange) {
        if let Some(job) = job {
            self.0.entry(job).or_default().add(change);
        }
    }

    /// Writes the changes, at the end of the transaction: other transactions may wait for the rows. Returns the effects
    /// on the jobs.
    pub(crate) async fn write(mut self, db: Db<'_>) -> Result<Effects, StoreError> {
        let effects = Effects::jobs(self.0.keys().copied().collect());
        self.0.retain(|_, change| !change.is_zero());
        match db {
            Db::Postgres(session) if self.0.len() > 1 => {
                let of = |column: fn(&CountChange) -> i64| self.0.values().map(column).collect::<Vec<_>>();
                let jobs: Vec<i64> = self.0.keys().map(|job| job.0).collect();
                let (waiting, running, succeeded) =
                    (of(|c| c.waiting), of(|c| c.running), of(|c| c.succeeded));
                let (failed, timed_out, cancelled) =
                    (of(|c| c.failed), of(|c| c.timed_out), of(|c| c.cancelled));
                session
                    .run(ADD_ALL, &[&jobs, &waiting, &running, &succeeded, &failed, &timed_out, &cancelled])
                    .await?;
            }
            Db::Postgres(_) | Db::Sqlite(_) => {
                for (job, change) in &self.0 {
                    let CountChange { waiting, running, succeeded, failed, timed_out, cancelled } = change;
                    let params: Params<'_> =
                        &[&job.0, waiting, running, succeeded, failed, timed_out, cancelled];
                    db.run_one(ADD, params).await?;
                }
            }
        }
        Ok(effects)
    }
}

/// Adds the values of the new row to those of the existing one.
macro_rules! or_add {
    () => {
        "
    ON CONFLICT (job_id, shard) DO UPDATE SET
        waiting = job_count.waiting + excluded.waiting,
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
    INSERT INTO job_count (job_id, shard, waiting, running, succeeded, failed, timed_out, cancelled)
    VALUES ($1, (pg_backend_pid() % 16)::smallint, $2, $3, $4, $5, $6, $7)",
        or_add!()
    ),
    sqlite: concat!(
        "
    INSERT INTO job_count (job_id, shard, waiting, running, succeeded, failed, timed_out, cancelled)
    VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, ?7)",
        or_add!()
    ),
);

/// In the order of the jobs, so that two transactions can't deadlock.
const ADD_ALL: &str = concat!(
    "
    INSERT INTO job_count (job_id, shard, waiting, running, succeeded, failed, timed_out, cancelled)
    SELECT job_id, (pg_backend_pid() % 16)::smallint, waiting, running, succeeded, failed, timed_out, cancelled
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
        AS change (job_id, waiting, running, succeeded, failed, timed_out, cancelled)
    ORDER BY job_id",
    or_add!()
);
