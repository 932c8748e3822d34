//! `POST /tasks`: one task.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::task::{SubmitTaskReply, SubmitTaskRequest};
use mitosis_store::ops::tasks::Submission;

use super::{named, submission};
use crate::api::body::Body;
use crate::api::members::require;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new().post("/tasks", Asks::Change, submit, "Submit a task")
}

/// The task is Ready, durably, when this answers. Needs Write in the group.
async fn submit(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<SubmitTaskRequest>,
) -> Result<Json<SubmitTaskReply>, ApiError> {
    let group = require(&app, &user, &request.group_name, Action::Submit).await?;
    named::of_one(&app, &user, &request.task_spec).await?;
    let task = submission::check(request, group, app.entropy.uuid())?;
    let ids = match app.store.submit(user.id, &[task], None, app.now()).await? {
        Submission::Accepted(ids) => ids,
        // There is no key.
        Submission::Replayed(_) | Submission::KeyReused => return Err(submission::key_reused().into()),
        Submission::Denied => return Err(submission::denied().into()),
    };
    app.ready.notify();
    let [ids] = ids[..] else {
        return Err(
            Refusal::new(ErrorCode::Internal, "the store answered for another number of tasks").into()
        );
    };
    Ok(Json(SubmitTaskReply { task_id: ids.number, uuid: ids.uuid }))
}
