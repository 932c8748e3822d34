//! `POST /tasks/submit`: many tasks, each on its own.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::{Membership, User};
use mitosis_domain::permission::Action;
use mitosis_protocol::task::{
    SubmitOutcome, SubmitTaskReply, SubmitTaskRequest, SubmitTasksReply, SubmitTasksRequest,
};
use mitosis_store::ops::tasks::{NewTask, Submission};

use super::submission;
use crate::api::body::Body;
use crate::api::members::permit;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

/// One outcome per task, in order; a task that is refused does not touch the others. With an
/// idempotency key, repeating the call returns the ids of the first time.
pub(super) async fn submit_many(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<SubmitTasksRequest>,
) -> Result<Json<SubmitTasksReply>, ApiError> {
    if request.tasks.is_empty() {
        return Err(Refusal::invalid("there are no tasks in this submission").into());
    }
    let key = request.idempotency_key.map(|key| submission::idempotency(key, &request.tasks)).transpose()?;
    let checked = check_all(&app, &user, request.tasks).await?;
    let (accepted, refusals) = split(checked);
    let ids = match app.store.submit(user.id, &accepted, key.as_ref(), app.now()).await? {
        Submission::Accepted(ids) | Submission::Replayed(ids) => ids,
        Submission::KeyReused => return Err(submission::key_reused().into()),
    };
    app.bell.ring();
    let mut ids = ids.into_iter();
    let results = refusals
        .into_iter()
        .map(|refusal| match refusal {
            Some(refusal) => Ok(SubmitOutcome::Err(refusal.into_body())),
            None => ids
                .next()
                .map(|ids| SubmitOutcome::Ok(SubmitTaskReply { task_id: ids.number, uuid: ids.uuid }))
                .ok_or_else(submission::key_reused),
        })
        .collect::<Result<_, _>>()?;
    Ok(Json(SubmitTasksReply { results }))
}

async fn check_all(
    app: &App,
    user: &User,
    requests: Vec<SubmitTaskRequest>,
) -> Result<Vec<Result<NewTask, Refusal>>, ApiError> {
    let mut memberships: HashMap<String, Membership> = HashMap::new();
    let mut checked = Vec::with_capacity(requests.len());
    for request in requests {
        let membership = match memberships.get(&request.group_name) {
            Some(membership) => *membership,
            None => {
                let membership = app.store.membership(user.id, &request.group_name).await?;
                memberships.insert(request.group_name.clone(), membership);
                membership
            }
        };
        checked.push(
            permit(membership, &request.group_name, Action::Submit)
                .and_then(|group| submission::check(request, group, app.entropy.uuid())),
        );
    }
    Ok(checked)
}

/// The tasks to store, and for each task of the request the reason why it is not among them.
fn split(checked: Vec<Result<NewTask, Refusal>>) -> (Vec<NewTask>, Vec<Option<Refusal>>) {
    let mut accepted = Vec::with_capacity(checked.len());
    let refusals = checked.into_iter().map(|outcome| outcome.map(|task| accepted.push(task)).err()).collect();
    (accepted, refusals)
}
