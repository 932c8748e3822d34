//! Schedules: the jobs that they submit.

use std::panic::resume_unwind;

use mitosis_domain::entropy::Entropy;
use mitosis_domain::ids::GroupId;
use mitosis_protocol::job::{self, JobOptions};
use mitosis_protocol::{ErrorCode, Timestamp};
use mitosis_store::StoreError;
use mitosis_store::ops::jobs::NewJob;
use mitosis_store::ops::schedules::Schedule;

use crate::api::check_jobs;
use crate::app::App;
use crate::error::Rejection;
use crate::jobs::blueprints::blocking;

/// Checks the job of a schedule, for its next run.
pub(crate) fn check(
    new: job::NewJob,
    group: GroupId,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<NewJob, Rejection> {
    let JobOptions { start_after, expires_at, .. } = new.options;
    if start_after.is_some() || expires_at.is_some() {
        return Err(Rejection::invalid("the job of a schedule can't have start_after or expires_at")
            .hint("each run is due at a time of its own; leave them out"));
    }
    if !new.needs.is_empty() || !new.resources.is_empty() {
        return Err(Rejection::invalid("the job of a schedule can't need other jobs")
            .hint("`overlap` decides whether a run waits for the one before"));
    }
    let checked = check_jobs(vec![new], &[group], now, entropy)?;
    let internal = || Rejection::new(ErrorCode::Internal, "the check returned no job");
    checked.into_iter().next().map(|checked| checked.job).ok_or_else(internal)
}

/// The job for the next run of a schedule; the inner error is why it can't be submitted.
pub(crate) async fn next_job(
    app: &App,
    schedule: &Schedule,
) -> Result<Result<NewJob, Rejection>, StoreError> {
    let Some(text) = app.store.schedule_blueprint(schedule.id).await? else {
        return Ok(Err(Rejection::invalid("the schedule was deleted")));
    };
    let (group, now, entropy) = (schedule.group, app.now(), app.entropy.clone());
    let checked = blocking(move || {
        let new = serde_json::from_str(&text).map_err(|error| {
            Rejection::new(ErrorCode::Internal, format!("the job of the schedule can't be read: {error}"))
        })?;
        check(new, group, now, &*entropy)
    });
    Ok(checked.await.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic())))
}
