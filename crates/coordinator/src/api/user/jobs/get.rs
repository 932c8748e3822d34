//! `GET /v1/jobs/{job}`: a job, and the task as it was submitted.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::job::JobReply;

use super::find::{blueprint, find, info};
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/jobs/{job}", Access::Read, get, "Get a job and its progress")
}

/// Returns a job in any state.
async fn get(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(job): InPath<i64>,
) -> Result<Json<JobReply>, ApiError> {
    let job = find(&app, &user, job, Action::View).await?;
    let blueprint = blueprint(&app, job.id).await?;
    Ok(Json(JobReply {
        info: info(&app, &job).await?,
        task: blueprint.task().clone(),
        parameters: blueprint.parameters(),
        notifications: app.store.webhooks_of_job(job.id).await?,
    }))
}
