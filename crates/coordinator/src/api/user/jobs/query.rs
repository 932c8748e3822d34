//! `POST /v1/jobs/query`: lists jobs, newest first.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_domain::ids::{GroupId, JobId};
use mitosis_domain::permission::Action;
use mitosis_protocol::job::{JobInfo, JobNeed, JobsReply, JobsRequest, MAX_PAGE};
use mitosis_store::ops::jobs::{Job, JobQuery};

use crate::api::body::Body;
use crate::api::members;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};
use crate::jobs::view;

/// Jobs whose needs are read together.
const BATCH_SIZE: usize = 100;
/// Needs in one page, roughly: each job can have a thousand. A page with more ends early.
const MAX_PAGE_NEEDS: usize = 100_000;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/jobs/query", Access::Read, query, "List jobs, newest first")
}

/// Replies with one page of jobs of the groups of the caller. All pages cost the same.
async fn query(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<JobsRequest>,
) -> Result<Json<JobsReply>, ApiError> {
    if request.jobs.as_ref().is_some_and(|jobs| jobs.len() as u64 > MAX_PAGE) {
        return Err(Rejection::invalid(format!("a request names at most {MAX_PAGE} jobs")).into());
    }
    let groups = groups(&app, &user, request.group.as_deref()).await?;
    let limit = request.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let query = JobQuery {
        groups,
        creator: request.creator,
        name: request.name,
        ids: request.jobs,
        active: request.active,
        before: request.before.map(JobId),
        limit,
    };
    let _permit = app.query_limiter.acquire(user.id).await?;
    let found = app.store.jobs(&query).await?;
    let is_full = found.len() as u64 == limit;
    let jobs = with_needs(&app, &found).await?;
    let more = is_full || jobs.len() < found.len();
    let next = jobs.last().filter(|_| more).map(|last| last.job);
    Ok(Json(JobsReply { jobs, next }))
}

/// The group of the request, or all groups of the user.
async fn groups(app: &App, user: &User, name: Option<&str>) -> Result<Vec<GroupId>, ApiError> {
    match name {
        Some(name) => Ok(vec![members::require(app, user, name, Action::View).await?]),
        None => Ok(app.store.group_ids_of(user.id).await?),
    }
}

/// The first of the jobs, with what they wait for.
pub(crate) async fn with_needs(app: &App, jobs: &[Job]) -> Result<Vec<JobInfo>, ApiError> {
    let (mut infos, mut count) = (Vec::with_capacity(jobs.len()), 0);
    for batch in jobs.chunks(BATCH_SIZE) {
        let ids: Vec<JobId> = batch.iter().map(|job| job.id).collect();
        let mut needs: HashMap<JobId, Vec<JobNeed>> = HashMap::new();
        for (job, need) in app.store.job_needs(&ids).await? {
            count += 1;
            needs.entry(job).or_default().push(need);
        }
        let now = app.now();
        let batch = batch.iter().map(|job| view::info(job, needs.remove(&job.id).unwrap_or_default(), now));
        infos.extend(batch);
        if count >= MAX_PAGE_NEEDS {
            break;
        }
    }
    Ok(infos)
}
