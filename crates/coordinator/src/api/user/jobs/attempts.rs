//! `GET /v1/jobs/{job}/attempts`: the attempts of all tasks of a job, for a view by worker.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::job::{JobAttempt, JobAttemptsQuery, JobAttemptsReply};

use super::find::find;
use crate::api::body::{InPath, InQuery};
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

/// The number of attempts in a page, except that all attempts of a task are on one page.
const PAGE: usize = 10_000;

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/jobs/{job}/attempts",
        Access::Read,
        attempts,
        "List the attempts of a job that were started",
    )
}

async fn attempts(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(job): InPath<i64>,
    InQuery(query): InQuery<JobAttemptsQuery>,
) -> Result<Json<JobAttemptsReply>, ApiError> {
    let job = find(&app, &user, job, Action::View).await?;
    let _permit = app.query_limiter.acquire(user.id).await?;
    let found = app.store.attempts_of_job(job.id, query.after, PAGE as u64).await?;
    Ok(Json(page(found, PAGE)))
}

/// Leaves the last task of a full page to the next one, unless it is the only task.
fn page(mut attempts: Vec<JobAttempt>, limit: usize) -> JobAttemptsReply {
    let mut next = None;
    if attempts.len() >= limit
        && let Some(last) = attempts.last().map(|attempt| attempt.index)
    {
        let complete = attempts.partition_point(|attempt| attempt.index < last);
        next = Some(last);
        if complete > 0 {
            attempts.truncate(complete);
            next = attempts.last().map(|attempt| attempt.index);
        }
    }
    JobAttemptsReply { attempts, next }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::Uuid;

    use super::*;

    fn attempts_of(indices: &[u64]) -> Vec<JobAttempt> {
        let attempt = |index: &u64| JobAttempt {
            index: *index,
            attempt: 1,
            worker: Uuid::nil(),
            host: None,
            started_at: None,
            ended_at: None,
            outcome: None,
        };
        indices.iter().map(attempt).collect()
    }

    #[test]
    fn page_has_all_attempts_of_its_tasks() {
        let full = page(attempts_of(&[1, 2, 3, 3]), 4);
        assert_eq!((full.attempts.len(), full.next), (2, Some(2)));
        let last = page(attempts_of(&[1, 2, 3]), 4);
        assert_eq!((last.attempts.len(), last.next), (3, None));
    }

    #[test]
    fn page_of_one_task_continues_after_it() {
        let full = page(attempts_of(&[7, 7, 7]), 3);
        assert_eq!((full.attempts.len(), full.next), (3, Some(7)));
        assert_eq!(page(Vec::new(), 3).next, None);
    }
}
