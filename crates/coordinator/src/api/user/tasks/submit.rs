//! `POST /tasks`: submits a task.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::task::{SubmitTaskReply, SubmitTaskRequest};
use mitosis_store::ops::tasks::Submission;

use super::{references, submission};
use crate::api::body::Body;
use crate::api::members::require;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};
use crate::secrets;

pub(super) fn routes() -> Routes {
    Routes::new().post("/tasks", Access::Write, submit, "Submit a task")
}

/// Needs Write in the group. When this replies, the task is Ready and stored durably.
async fn submit(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<SubmitTaskRequest>,
) -> Result<Json<SubmitTaskReply>, ApiError> {
    let group = require(&app, &user, &request.group_name, Action::Submit).await?;
    references::check(&app, &user, &request.task_spec).await?;
    let task = submission::check(request, group, app.entropy.uuid())?;
    secrets::check(&app, group, &task.spec).await?;
    let ids = match app.publish(app.store.submit(user.id, &[task], None, app.now()).await?) {
        Submission::Accepted(ids) => ids,
        // The request has no idempotency key.
        Submission::Replayed(_) | Submission::KeyReused => return Err(submission::key_reused().into()),
        Submission::Denied => return Err(submission::denied().into()),
    };
    let [ids] = ids[..] else {
        return Err(Rejection::new(
            ErrorCode::Internal,
            "the store returned ids for another number of tasks",
        )
        .into());
    };
    Ok(Json(SubmitTaskReply { task_id: ids.number, uuid: ids.uuid }))
}
