//! `GET /v1/jobs/{job}/states`: the states of all tasks of a job, in a compact form.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::job::{JobStatesQuery, JobStatesReply, TaskCondition};
use mitosis_store::ops::jobs::{Job, JobTasks};

use super::find::find;
use super::tasks::unwritten;
use crate::api::body::{InPath, InQuery};
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

/// The number of tasks in a page.
const PAGE: u64 = 100_000;

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/jobs/{job}/states", Access::Read, states, "List the states of all tasks of a job")
}

async fn states(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(job): InPath<i64>,
    InQuery(query): InQuery<JobStatesQuery>,
) -> Result<Json<JobStatesReply>, ApiError> {
    let job = find(&app, &user, job, Action::View).await?;
    let after = query.after.min(job.size);
    let last = job.size.min(after.saturating_add(PAGE));
    let _permit = app.query_limiter.acquire(user.id).await?;
    let rows = app.store.tasks_of_job(job.id, &between(after, last), after, PAGE).await?;
    let written = rows.into_iter().map(|row| (row.index, row.state));
    let runs = runs(after, last, written.chain(rest(&job, after, last)));
    Ok(Json(JobStatesReply { runs, next: (last < job.size).then_some(last) }))
}

fn between(after: u64, last: u64) -> JobTasks {
    JobTasks { indices: vec![(after + 1, last)], states: Vec::new() }
}

/// The tasks of the page that are not written.
fn rest(job: &Job, after: u64, last: u64) -> Vec<(u64, TaskCondition)> {
    let first = job.written.max(after);
    unwritten(job, &between(after, last), first, last.saturating_sub(first))
}

/// Joins consecutive tasks in the same state. A missing task, which is deleted or just being written, counts like the one
/// after it.
fn runs(
    after: u64,
    last: u64,
    states: impl Iterator<Item = (u64, TaskCondition)>,
) -> Vec<(u64, TaskCondition)> {
    let mut runs: Vec<(u64, TaskCondition)> = Vec::new();
    let mut end = after;
    for (index, state) in states {
        if index <= end {
            continue;
        }
        let count = index - end;
        end = index;
        match runs.last_mut() {
            Some((length, same)) if *same == state => *length += count,
            _ => runs.push((count, state)),
        }
    }
    if end < last {
        match runs.last_mut() {
            Some((length, _)) => *length += last - end,
            None => runs.push((last - end, TaskCondition::Waiting)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use TaskCondition::{Failed, Running, Waiting};

    use super::*;

    #[test]
    fn consecutive_tasks_in_one_state_are_joined() {
        let states = [(11, Failed), (12, Failed), (13, Running), (14, Waiting)];
        assert_eq!(runs(10, 14, states.into_iter()), [(2, Failed), (1, Running), (1, Waiting)]);
    }

    #[test]
    fn runs_cover_every_index_of_the_page() {
        assert_eq!(runs(0, 5, [(2, Failed), (4, Waiting)].into_iter()), [(2, Failed), (3, Waiting)]);
        assert_eq!(runs(0, 5, [].into_iter()), [(5, Waiting)]);
        assert_eq!(runs(7, 7, [].into_iter()), []);
    }
}
