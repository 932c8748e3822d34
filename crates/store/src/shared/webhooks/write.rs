//! The notifications of a job, and the requests that its end causes.

use mitosis_domain::ids::JobId;
use mitosis_domain::job::{JobControl, state};
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{JobCounts, JobState};
use mitosis_protocol::notify::{EndedJob, EventKind, NotificationBody, NotifyOn};

use crate::StoreError;
use crate::db::{Db, Params, Sql, sql, to_json};
use crate::enum_codes::{Code, row_count};
use crate::ops::jobs::Job;
use crate::ops::webhooks::NewWebhook;

const PLAN: Sql =
    sql!("INSERT INTO job_notify (job_id, position, url, origin, condition) VALUES ($1, $2, $3, $4, $5)");

/// Stores the notifications of a new job.
pub(crate) async fn plan(db: Db<'_>, job: JobId, notify: &[NewWebhook]) -> Result<(), StoreError> {
    for (position, NewWebhook { url, origin, on }) in notify.iter().enumerate() {
        db.run_one(PLAN, &[&job.0, &row_count(position), url, origin, &on.code()]).await?;
    }
    Ok(())
}

const ENQUEUE: Sql = sql!(
    "
    INSERT INTO webhook (job_id, group_id, url, origin, condition, event, next_attempt, created_at)
    SELECT job_id, $2, url, origin, condition, $3, $4, $4 FROM job_notify
    WHERE job_id = $1 AND (condition = $5 OR $6::boolean)
    ORDER BY position"
);

/// Writes the requests that the end of a job causes. They are due at once.
pub(crate) async fn enqueue(db: Db<'_>, job: &Job, ended_at: Timestamp) -> Result<(), StoreError> {
    let event = event(job, ended_at);
    let has_failed = event.data.state != JobState::Succeeded;
    let event = to_json(&event)?;
    let params: Params<'_> =
        &[&job.id.0, &job.group.0, &event, &ended_at.unix_micros(), &NotifyOn::End.code(), &has_failed];
    db.run(ENQUEUE, params).await.map(drop)
}

/// Describes the end of a job. Tasks that were not written by then count as cancelled.
fn event(job: &Job, ended_at: Timestamp) -> NotificationBody {
    let written = job.counts;
    let ended = written.succeeded + written.failed + written.timed_out;
    let counts = JobCounts {
        succeeded: written.succeeded,
        failed: written.failed,
        timed_out: written.timed_out,
        cancelled: job.size.saturating_sub(ended),
        ..JobCounts::default()
    };
    let data = EndedJob {
        job: job.id.0,
        name: job.name.clone(),
        group: job.group_name.clone(),
        creator: job.creator_name.clone(),
        state: state(&counts, JobControl::default()),
        tasks: job.size,
        counts,
        created_at: job.created_at,
        ended_at,
        url: None,
    };
    NotificationBody { kind: EventKind::JobEnded, timestamp: ended_at, text: sentence(&data), data }
}

/// The end of a job for people: `job 12 (train): failed, 98 of 100 tasks succeeded`.
fn sentence(job: &EndedJob) -> String {
    let name = job.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let state = match job.state {
        JobState::Succeeded => "succeeded",
        JobState::Cancelled => "cancelled",
        _ => "failed",
    };
    let tasks = if job.tasks == 1 { "task" } else { "tasks" };
    format!("job {}{name}: {state}, {} of {} {tasks} succeeded", job.job, job.counts.succeeded, job.tasks)
}
