//! `POST /v1/jobs/{job}/tasks`: lists tasks of a job in the order of their indices.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_domain::task::condition;
use mitosis_protocol::job::{JobTask, JobTasksReply, JobTasksRequest, MAX_PAGE, TaskCondition};
use mitosis_protocol::{TaskInfo, Uuid};
use mitosis_store::ops::jobs::{Job, JobTaskRow, JobTasks};

use super::find::{blueprint, find};
use super::selection::{self, includes};
use crate::api::body::{Body, InPath};
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::view;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;
use crate::jobs::blueprints::JobBlueprint;

/// Tasks that are read together.
const BATCH_SIZE: usize = 250;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/jobs/{job}/tasks", Access::Read, tasks, "List tasks of a job")
}

/// Replies with one page. A page of large tasks has fewer rows than requested. Tasks that are not written yet have no
/// UUID; they wait, or are cancelled with the job or before they were written.
async fn tasks(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(job): InPath<i64>,
    Body(request): Body<JobTasksRequest>,
) -> Result<Json<JobTasksReply>, ApiError> {
    let job = find(&app, &user, job, Action::View).await?;
    let tasks = selection::checked(&job, request.selection)?;
    let blueprint = blueprint(&app, job.id).await?;
    let fits = blueprint.tasks_within(limits::MAX_PAGE_BYTES as u64).max(1);
    let limit = request.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE).min(fits);
    let after = request.after.unwrap_or(0).min(job.size);
    let _permit = app.query_limiter.acquire(user.id).await?;
    let rows = app.store.tasks_of_job(job.id, &tasks, after, limit).await?;
    let last_written = rows.last().map_or(0, |row| row.index).max(job.written).max(after);
    let unwritten = unwritten(&job, &tasks, last_written, limit - rows.len() as u64);
    // Rows whose task was deleted meanwhile count, too: the next page starts after them.
    let last = unwritten.last().map(|(index, _)| *index).or(rows.last().map(|row| row.index));
    let next = last.filter(|_| (rows.len() + unwritten.len()) as u64 == limit);
    let written = written(&app, &blueprint, &rows).await?;
    let unwritten = unwritten.into_iter().map(|(index, state)| JobTask {
        index,
        state,
        task: None,
        parameters: blueprint.values(index),
        attempt: 0,
    });
    Ok(Json(JobTasksReply { tasks: written.into_iter().chain(unwritten).collect(), next }))
}

/// The first selected tasks after those that are written.
pub(super) fn unwritten(job: &Job, tasks: &JobTasks, after: u64, limit: u64) -> Vec<(u64, TaskCondition)> {
    let state = |index| match job.stopped.is_some() || job.skipped.contains(index) {
        true => TaskCondition::Cancelled,
        false => TaskCondition::Waiting,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let indices = tasks.ranges_between(after, job.size).flat_map(|(first, last)| first..=last);
    let found = indices.map(|index| (index, state(index))).filter(|(_, state)| includes(tasks, *state));
    found.take(limit).collect()
}

async fn written(app: &App, blueprint: &JobBlueprint, rows: &[JobTaskRow]) -> Result<Vec<JobTask>, ApiError> {
    let mut listed = Vec::with_capacity(rows.len());
    for batch in rows.chunks(BATCH_SIZE) {
        let uuids: Vec<Uuid> = batch.iter().map(|row| row.uuid).collect();
        let tasks = app.store.tasks(&uuids).await?.into_iter().map(view::info);
        let mut tasks: HashMap<Uuid, TaskInfo> = tasks.map(|task| (task.uuid, task)).collect();
        let found = batch.iter().filter_map(|row| Some((row, tasks.remove(&row.uuid)?)));
        listed.extend(found.map(|(row, task)| JobTask {
            index: row.index,
            state: condition(task.state, task.result),
            task: Some(task),
            parameters: blueprint.values(row.index),
            attempt: row.attempt,
        }));
    }
    Ok(listed)
}
