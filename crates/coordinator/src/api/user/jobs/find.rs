//! Finds jobs, and checks what the caller may do with them.

use std::sync::Arc;

use mitosis_domain::account::{Membership, User};
use mitosis_domain::ids::JobId;
use mitosis_domain::permission::Action;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::job::JobInfo;
use mitosis_store::ops::jobs::Job;

use crate::api::members;
use crate::app::App;
use crate::error::{ApiError, Rejection, ResourceKind, chain};
use crate::jobs::blueprints::{BlueprintError, JobBlueprint};
use crate::jobs::view;

/// Returns the job if the user may perform the action in its group. Replies 404 to outsiders, and 403 to members with
/// an insufficient role.
pub(super) async fn find(app: &App, user: &User, job: i64, action: Action) -> Result<Job, ApiError> {
    let found = app.store.job(JobId(job)).await?.ok_or_else(|| no_such(job))?;
    match app.store.membership(user.id, &found.group_name).await? {
        Membership::NoSuchGroup | Membership::Outsider(_) => Err(no_such(job).into()),
        membership @ Membership::Member(..) => {
            members::permit(membership, &found.group_name, action)?;
            Ok(found)
        }
    }
}

/// A job as the API shows it, with what it needs.
pub(super) async fn info(app: &App, job: &Job) -> Result<JobInfo, ApiError> {
    let needs = app.store.job_needs(&[job.id]).await?.into_iter().map(|(_, need)| need).collect();
    Ok(view::info(job, needs, app.now()))
}

/// The rejection for a job that does not exist, or that the caller may not see.
pub(super) fn no_such(job: i64) -> Rejection {
    Rejection::no_such(ResourceKind::Job, job)
}

/// The task and the parameters of a job.
pub(super) async fn blueprint(app: &App, job: JobId) -> Result<Arc<JobBlueprint>, ApiError> {
    match app.jobs.blueprints.get(&*app.store, job).await {
        Ok(Some(blueprint)) => Ok(blueprint),
        Ok(None) => Err(no_such(job.0).into()),
        Err(BlueprintError::Store(error)) => Err(error.into()),
        Err(BlueprintError::Unusable(error)) => {
            tracing::error!(job = job.0, cause = chain(&error), "the blueprint of a job can't be used");
            let message = format!("the parameters of job {} can't be read", job.0);
            Err(Rejection::new(ErrorCode::Internal, message).into())
        }
    }
}
