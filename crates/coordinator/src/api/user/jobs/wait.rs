//! `POST /v1/jobs/wait`: waits until one of some jobs has ended.

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_protocol::job::{AwaitJobsReply, AwaitJobsRequest, MAX_AWAITED_JOBS};
use mitosis_store::ops::jobs::{Job, JobQuery};
use tokio::time::{Instant, sleep_until};

use crate::api::body::Body;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::follow::MAX_WAIT;
use crate::app::App;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::error::{ApiError, Rejection};
use crate::jobs::progress::Following;
use crate::jobs::view;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/jobs/wait", Access::Read, wait, "Wait until one of some jobs has ended")
}

/// Replies when the first job of the list has ended, or when `wait` has passed. Jobs that the caller may not see are not
/// waited for, so that the time of the reply does not reveal their end.
async fn wait(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    Body(request): Body<AwaitJobsRequest>,
) -> Result<Json<AwaitJobsReply>, ApiError> {
    if request.jobs.is_empty() {
        return Err(Rejection::empty_list("jobs").into());
    }
    if request.jobs.len() > MAX_AWAITED_JOBS {
        return Err(Rejection::invalid(format!("a request names at most {MAX_AWAITED_JOBS} jobs"))
            .hint("send them in several")
            .into());
    }
    let deadline = Instant::now() + request.wait.unwrap_or_default().min(MAX_WAIT);
    let mut jobs = visible(&app, &user, &request.jobs).await?;
    if wait_for_end(&app, &jobs, deadline).await == Waited::Yes {
        authentication.revalidate(&app).await?;
        jobs = visible(&app, &user, &request.jobs).await?;
    }
    let now = app.now();
    Ok(Json(AwaitJobsReply { jobs: jobs.iter().map(|job| view::info(job, Vec::new(), now)).collect() }))
}

/// Those of the jobs that the user may view.
async fn visible(app: &App, user: &User, jobs: &[i64]) -> Result<Vec<Job>, ApiError> {
    let query = JobQuery {
        groups: app.store.group_ids_of(user.id).await?,
        ids: Some(jobs.to_vec()),
        limit: MAX_AWAITED_JOBS as u64,
        ..JobQuery::default()
    };
    Ok(app.store.jobs(&query).await?)
}

/// Whether time has passed since the jobs were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    Yes,
    No,
}

async fn wait_for_end(app: &App, jobs: &[Job], deadline: Instant) -> Waited {
    let has_end = jobs.is_empty() || jobs.iter().any(|job| job.ended_at.is_some());
    if has_end || Instant::now() >= deadline {
        return Waited::No;
    }
    let mut ends = app.jobs.progress.ends();
    let followed: Vec<_> = jobs.iter().map(|job| app.jobs.progress.follow(job.id, job.group)).collect();
    while !followed.iter().any(Following::is_final) && Instant::now() < deadline {
        tokio::select! {
            // The sender lives as long as the application.
            _ = ends.changed() => {}
            () = sleep_until(deadline) => {}
            () = app.stopping.cancelled() => break,
        }
    }
    Waited::Yes
}
