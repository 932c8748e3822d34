//! `DELETE /v1/jobs/{job}`: deletes an ended job with its tasks and their archives.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::job::RemoveJobReply;
use mitosis_store::ops::Actor;
use mitosis_store::ops::jobs::JobRemoval;

use super::find::{find, no_such};
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::batches::{Pacer, interrupted};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().delete("/v1/jobs/{job}", Access::Write, remove, "Delete an ended job and its archives")
}

/// Deletes in batches. Replies 400 if the job has not ended, or if another task needs one of its archives.
async fn remove(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(job): InPath<i64>,
) -> Result<Json<RemoveJobReply>, ApiError> {
    let job = find(&app, &user, job, Action::ManageTasks).await?.id;
    let mut reply = RemoveJobReply::default();
    loop {
        let pacer = Pacer::begin(&app.request_counter);
        let count = usize::try_from(reply.tasks).unwrap_or(usize::MAX);
        let removal = app.store.remove_job(Actor::User(user.id), job, app.now()).await;
        match removal.map_err(|error| interrupted(error.into(), count, "deleted"))? {
            JobRemoval::Done { tasks, freed, more } => {
                reply.tasks += tasks;
                reply.freed_bytes += freed;
                if !more {
                    return Ok(Json(reply));
                }
            }
            JobRemoval::Active => return Err(active(job.0).into()),
            JobRemoval::Needed => return Err(needed(job.0).into()),
            JobRemoval::Denied => return Err(no_such(job.0).into()),
        }
        pacer.pause().await;
    }
}

fn active(job: i64) -> Rejection {
    Rejection::invalid(format!("job {job} has not ended"))
        .hint("cancel it first, and wait for its running tasks")
}

fn needed(job: i64) -> Rejection {
    Rejection::invalid(format!("a task that has not ended needs an archive of job {job}"))
        .hint("wait for that task, or cancel it")
}
