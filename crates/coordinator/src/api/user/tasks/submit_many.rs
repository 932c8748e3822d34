//! `POST /tasks/submit`: many tasks, each on its own.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::{Membership, User};
use mitosis_domain::crash;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::task::{
    SubmitOutcome, SubmitTaskReply, SubmitTaskRequest, SubmitTasksReply, SubmitTasksRequest,
};
use mitosis_store::ops::tasks::{IdempotencyKey, NewTask, Submission, TaskIds};

use super::named::Named;
use super::submission;
use crate::api::body::Body;
use crate::api::members::permit;
use crate::api::openapi::Op;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new().post("/tasks/submit", Asks::Change, submit_many, Op::new("Submit many tasks").or(409))
}

/// One outcome per task, in order; a task that is refused does not touch the others. With an
/// idempotency key, repeating the call returns the ids of the first time, and submits what was refused then and is
/// not any more.
async fn submit_many(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<SubmitTasksRequest>,
) -> Result<Json<SubmitTasksReply>, ApiError> {
    if request.tasks.is_empty() {
        return Err(Refusal::invalid("there are no tasks in this submission").into());
    }
    if request.tasks.len() > limits::MAX_TASKS {
        let most = limits::MAX_TASKS;
        return Err(Refusal::invalid(format!("a submission has at most {most} tasks"))
            .hint("send the others in further submissions")
            .into());
    }
    let key = request.idempotency_key.map(|key| submission::idempotency(key, &request.tasks)).transpose()?;
    let count = request.tasks.len();
    let Checked { accepted, mut refused } = check_all(&app, &user, request.tasks).await?;
    let key = key.map(|key| IdempotencyKey { refused: refused.keys().copied().collect(), ..key });
    let submission = app.store.submit(user.id, &accepted, key.as_ref(), app.now()).await?;
    crash::point("submit.commit:after");
    crash::point("submit.reply:before");
    // A large submission is not held in memory beside its answer.
    drop(accepted);
    app.ready.notify();
    let (ids, replayed): (Vec<Option<TaskIds>>, _) = match submission {
        Submission::Accepted(ids) => {
            let mut ids = ids.into_iter();
            let by_place = (0..count).map(|at| if refused.contains_key(&at) { None } else { ids.next() });
            (by_place.collect(), false)
        }
        Submission::Replayed(ids) => (ids, true),
        Submission::KeyReused => return Err(submission::key_reused().into()),
        Submission::Denied => return Err(submission::denied().into()),
    };
    let results = ids.into_iter().enumerate().map(|(at, ids)| match (ids, refused.remove(&at)) {
        // A task that was accepted before stays so, whatever would be refused now.
        (Some(ids), _) => Ok(SubmitOutcome::Ok(SubmitTaskReply { task_id: ids.number, uuid: ids.uuid })),
        (None, Some(refusal)) => Ok(SubmitOutcome::Err(refusal.into_body())),
        (None, None) => {
            Err(Refusal::new(ErrorCode::Internal, "the store answered for another number of tasks"))
        }
    });
    let results = results.collect::<Result<_, _>>()?;
    Ok(Json(SubmitTasksReply { results, replayed }))
}

/// The tasks to store, and by their place in the request why others are not among them.
struct Checked {
    accepted: Vec<NewTask>,
    refused: BTreeMap<usize, Refusal>,
}

async fn check_all(app: &App, user: &User, requests: Vec<SubmitTaskRequest>) -> Result<Checked, ApiError> {
    let memberships = memberships(app, user, &requests).await?;
    let named = Named::by_all(app, user, &requests).await?;
    let mut refused = BTreeMap::new();
    // The tasks take the place of the requests, in the same piece of memory.
    let accepted = requests
        .into_iter()
        .enumerate()
        .filter_map(|(at, request)| {
            let membership = memberships[&request.group_name];
            permit(membership, &request.group_name, Action::Submit)
                .and_then(|group| named.check(&request.task_spec).map(|()| group))
                .and_then(|group| submission::check(request, group, app.entropy.uuid()))
                .map_err(|refusal| refused.insert(at, refusal))
                .ok()
        })
        .collect();
    Ok(Checked { accepted, refused })
}

/// What the user is in each group that is named.
async fn memberships(
    app: &App,
    user: &User,
    requests: &[SubmitTaskRequest],
) -> Result<HashMap<String, Membership>, ApiError> {
    let mut memberships = HashMap::new();
    for SubmitTaskRequest { group_name, .. } in requests {
        if !memberships.contains_key(group_name) {
            let membership = app.store.membership(user.id, group_name).await?;
            memberships.insert(group_name.clone(), membership);
        }
    }
    Ok(memberships)
}
