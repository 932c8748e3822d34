//! Plans all jobs that have not ended: those of a coordinator that has stopped, and those whose hint was lost.

use std::time::Duration;

use mitosis_domain::ids::JobId;
use tokio::time::sleep;

use super::Report;
use crate::app::App;
use crate::error::ApiError;

/// How often the pass runs.
pub(super) const PERIOD: Duration = Duration::from_secs(2);
/// Jobs in one batch.
const BATCH_SIZE: u64 = 250;
/// The pause between two batches: a job takes one query, so tens of thousands of jobs take little of the database.
const PAUSE: Duration = Duration::from_millis(500);

/// Plans all active jobs, in batches.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    let mut after = JobId(0);
    loop {
        let jobs = app.store.active_jobs(after, BATCH_SIZE).await?;
        app.jobs.plan_queue.visit(&jobs);
        match jobs.last() {
            Some(last) if jobs.len() as u64 == BATCH_SIZE => after = *last,
            _ => return Ok(Report::default()),
        }
        if app.stopping.run_until_cancelled(sleep(PAUSE)).await.is_none() {
            return Ok(Report::default());
        }
    }
}
