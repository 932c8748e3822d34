//! `POST /tasks/submit`: submits many tasks.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::{Membership, User};
use mitosis_domain::failpoints;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::task::{
    SubmitOutcome, SubmitTaskReply, SubmitTaskRequest, SubmitTasksReply, SubmitTasksRequest,
};
use mitosis_store::ops::tasks::{IdempotencyKey, NewTask, Submission, TaskIds};

use super::references::TaskReferences;
use super::submission;
use crate::api::body::Body;
use crate::api::members::{self, permit};
use crate::api::openapi::Op;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};
use crate::secrets::KnownSecrets;

pub(super) fn routes() -> Routes {
    Routes::new().post("/tasks/submit", Access::Write, submit_many, Op::new("Submit many tasks").or(409))
}

/// Replies with one outcome per task, in order. A rejected task does not affect the others. With an idempotency key, a
/// repeated request returns the ids of the first one, and submits the tasks that were rejected then and are valid now.
async fn submit_many(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<SubmitTasksRequest>,
) -> Result<Json<SubmitTasksReply>, ApiError> {
    if request.tasks.is_empty() {
        return Err(Rejection::invalid("the submission has no tasks").into());
    }
    if request.tasks.len() > limits::MAX_TASKS {
        let most = limits::MAX_TASKS;
        return Err(Rejection::invalid(format!("a submission can have at most {most} tasks"))
            .hint("split it into several submissions")
            .into());
    }
    let key = request.idempotency_key.map(|key| submission::idempotency(key, &request.tasks)).transpose()?;
    let count = request.tasks.len();
    let Checked { accepted, mut rejected } = check_all(&app, &user, request.tasks).await?;
    let key = key.map(|key| IdempotencyKey { refused: rejected.keys().copied().collect(), ..key });
    let submission = app.store.submit(user.id, &accepted, key.as_ref(), app.now()).await?;
    failpoints::point("submit.commit:after");
    failpoints::point("submit.reply:before");
    // Frees the memory of a large submission before the reply is built.
    drop(accepted);
    let (ids, replayed): (Vec<Option<TaskIds>>, _) = match app.publish(submission) {
        Submission::Accepted(ids) => {
            let mut ids = ids.into_iter();
            let by_place = (0..count).map(|at| if rejected.contains_key(&at) { None } else { ids.next() });
            (by_place.collect(), false)
        }
        Submission::Replayed(ids) => (ids, true),
        Submission::KeyReused => return Err(submission::key_reused().into()),
        Submission::Denied => return Err(submission::denied().into()),
    };
    let results = ids.into_iter().enumerate().map(|(at, ids)| match (ids, rejected.remove(&at)) {
        // A task that was accepted before stays accepted, even if it would be rejected now.
        (Some(ids), _) => Ok(SubmitOutcome::Ok(SubmitTaskReply { task_id: ids.number, uuid: ids.uuid })),
        (None, Some(rejection)) => Ok(SubmitOutcome::Err(rejection.into_body())),
        (None, None) => {
            Err(Rejection::new(ErrorCode::Internal, "the store returned ids for another number of tasks"))
        }
    });
    let results = results.collect::<Result<_, _>>()?;
    Ok(Json(SubmitTasksReply { results, replayed }))
}

/// The tasks to store, and the rejections of the others by their index in the request.
struct Checked {
    accepted: Vec<NewTask>,
    rejected: BTreeMap<usize, Rejection>,
}

async fn check_all(app: &App, user: &User, requests: Vec<SubmitTaskRequest>) -> Result<Checked, ApiError> {
    let memberships =
        members::of_groups(app, user, requests.iter().map(|request| &request.group_name)).await?;
    let references = TaskReferences::load(app, user, requests.iter()).await?;
    let of_members = requests.iter().filter_map(|request| {
        let Membership::Member(group, _) = memberships[&request.group_name] else { return None };
        Some((group, &request.task_spec))
    });
    let secrets = KnownSecrets::load(app, of_members).await?;
    let mut rejected = BTreeMap::new();
    // Collects in place, so that the tasks reuse the memory of the requests.
    let accepted = requests
        .into_iter()
        .enumerate()
        .filter_map(|(at, request)| {
            let membership = memberships[&request.group_name];
            permit(membership, &request.group_name, Action::Submit)
                .and_then(|group| references.check(&request.task_spec).map(|()| group))
                .and_then(|group| secrets.check(group, &request.task_spec).map(|()| group))
                .and_then(|group| submission::check(request, group, app.entropy.uuid()))
                .map_err(|rejection| rejected.insert(at, rejection))
                .ok()
        })
        .collect();
    Ok(Checked { accepted, rejected })
}
