//! `PATCH /v1/jobs/{job}`: pauses, resumes or changes a job.

use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::job::JobChange;
use mitosis_store::ops::Actor;

use super::find::{find, no_such};
use crate::api::body::{Body, InPath};
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().patch("/v1/jobs/{job}", Access::Write, change, "Pause, resume or change a job")
}

/// Replies 400 if the request changes nothing. Running tasks continue while a job is paused.
async fn change(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(job): InPath<i64>,
    Body(change): Body<JobChange>,
) -> Result<Empty, ApiError> {
    let found = find(&app, &user, job, Action::ManageTasks).await?;
    let (job, group, before) = (found.id, found.group, found.priority);
    if change == JobChange::default() {
        let message = "the request changes nothing; set paused, priority or max_running";
        return Err(Rejection::invalid(message).into());
    }
    let bound = app.store.priority_bound(user.id, group).await?;
    if let (Some(most), Some(priority)) = (bound, change.priority)
        && priority > most.max(before)
    {
        let message = format!("priority {priority} is larger than {most}, the largest for the role Write");
        return Err(Rejection::forbidden(message).hint("ask an Admin of the group").into());
    }
    match app.publish(app.store.change_job(Actor::User(user.id), job, &change, app.now()).await?) {
        true => Ok(Empty),
        false => Err(no_such(job.0).into()),
    }
}
