//! `POST /v1/tasks/retry`: submits ended tasks again, each with a link to the task that it repeats.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_domain::task::{Phase, Task};
use mitosis_protocol::Uuid;
use mitosis_protocol::sweep::{RetriedTask, RetryTasksReply, RetryTasksRequest};
use mitosis_protocol::task::TaskFilter;
use mitosis_store::ops::query::Page;
use mitosis_store::ops::sweeps::{EndedTasks, Repeat, RepeatMode, Repeated, Repetition, Selection};
use mitosis_store::ops::tasks::IdempotencyKey;

use super::batches::{BATCH_SIZE, Pacer, interrupted};
use super::{filter, find, permitted, submission};
use crate::api::body::Body;
use crate::api::members::require_for_filter;
use crate::api::openapi::Op;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/tasks/retry", Access::Write, retry, Op::new("Submit ended tasks again").or(409))
}

/// Needs Write in the group of each task. The caller is the creator of the new tasks. A task that was retried before is
/// skipped unless `again` is set, so that a repeated request does not run it twice.
async fn retry(
    State(app): State<App>,
    Caller(user): Caller,
    Body(mut request): Body<RetryTasksRequest>,
) -> Result<Json<RetryTasksReply>, ApiError> {
    let key = request.idempotency_key.take();
    let key = key.map(|key| submission::idempotency(key, &request)).transpose()?;
    let RetryTasksRequest { failed, again, before, .. } = request;
    let ended = if failed { EndedTasks::Failed } else { EndedTasks::Any };
    let mode = if again { RepeatMode::Again } else { RepeatMode::Once };
    let listed = request.uuids.clone().unwrap_or_default();
    let (tasks, next) = match (request.uuids, request.filter) {
        (Some(uuids), None) => (ended_of_list(&app, &user, &uuids, ended).await?, None),
        (None, Some(filter)) => matching(&app, &user, filter, Restriction { ended, mode, before }).await?,
        _ => return Err(Rejection::invalid("either `uuids` or `filter` is required").into()),
    };
    let repeats: Vec<Repeat> = tasks.into_iter().map(|of| Repeat { of, uuid: app.entropy.uuid() }).collect();
    let mut repeated = Vec::new();
    // The key of a request without tasks is stored, too.
    for (number, batch) in batches(&repeats).enumerate() {
        let pacer = Pacer::begin(&app.request_counter);
        let key = key.as_ref().map(|key| key_of_batch(key, number));
        let outcome = app.store.repeat(user.id, batch, mode, key.as_ref(), app.now()).await;
        let outcome =
            outcome.map_err(|error| interrupted(error.into(), repeated.len(), "submitted again"))?;
        match app.publish(outcome) {
            Repetition::Accepted(more) | Repetition::Replayed(more) => repeated.extend(more),
            Repetition::KeyReused => return Err(submission::key_reused().into()),
        }
        pacer.pause().await;
    }
    Ok(Json(reply(listed, &repeated, next)))
}

/// Splits the tasks into batches: at least one, which may be empty.
fn batches(repeats: &[Repeat]) -> impl Iterator<Item = &[Repeat]> {
    let (first, rest) = repeats.split_at(repeats.len().min(BATCH_SIZE));
    std::iter::once(first).chain(rest.chunks(BATCH_SIZE))
}

/// Each batch has its own key; the first has the key of the request.
fn key_of_batch(key: &IdempotencyKey, number: usize) -> IdempotencyKey {
    match number {
        0 => key.clone(),
        _ => IdempotencyKey {
            key: format!("{} portion {number}", key.key),
            digest: key.digest,
            refused: Vec::new(),
        },
    }
}

/// The largest number of matches in one request.
const PAGE: u64 = 5_000;

/// How a request restricts the matches of its filter.
struct Restriction {
    ended: EndedTasks,
    mode: RepeatMode,
    before: Option<Uuid>,
}

/// The ended tasks of a list, which the user must be permitted to retry.
async fn ended_of_list(
    app: &App,
    user: &User,
    uuids: &[Uuid],
    which: EndedTasks,
) -> Result<Vec<Uuid>, ApiError> {
    if uuids.is_empty() {
        return Err(Rejection::empty_list("tasks").into());
    }
    if uuids.len() as u64 > limits::MAX_ROWS {
        return Err(Rejection::invalid(format!("a list can have at most {} tasks", limits::MAX_ROWS)).into());
    }
    let wanted = |task: &Task| match &task.phase {
        Phase::Ended(ending) => which == EndedTasks::Any || ending.failed(),
        Phase::Pending | Phase::Ready | Phase::Running(_) | Phase::Reported(..) => false,
    };
    let tasks = permitted(app, user, uuids, Action::Submit, wanted).await?;
    Ok(tasks.into_iter().map(|(_, uuid)| uuid).collect())
}

/// One page of ended tasks that match, and where the next page starts.
async fn matching(
    app: &App,
    user: &User,
    filter: TaskFilter,
    restriction: Restriction,
) -> Result<(Vec<Uuid>, Option<Uuid>), ApiError> {
    let group_name = filter::group_name(app, user, &filter)?;
    let group = require_for_filter(app, user, &group_name, Action::Submit).await?;
    let before = match restriction.before {
        Some(uuid) => Some(find(app, user, uuid, Action::View).await?.id),
        None => None,
    };
    let selection = Selection {
        query: filter::query(app, filter, group, None)?,
        ended: Some(restriction.ended),
        latest: restriction.mode == RepeatMode::Once,
    };
    let page = Page { before, offset: 0, limit: PAGE };
    let found = app.store.selected(&selection, page).await?;
    let full = found.len() as u64 == page.limit;
    let next = found.last().copied().filter(|_| full);
    Ok((found, next))
}

fn reply(listed: Vec<Uuid>, repeated: &[Repeated], next: Option<Uuid>) -> RetryTasksReply {
    let done: HashSet<Uuid> = repeated.iter().map(|repeated| repeated.of).collect();
    let retried = repeated.iter().map(|Repeated { of, ids }| RetriedTask {
        repeats_task_uuid: *of,
        uuid: ids.uuid,
        task_id: ids.number,
    });
    RetryTasksReply {
        retried: retried.collect(),
        passed_over: listed.into_iter().filter(|uuid| !done.contains(uuid)).collect(),
        next,
    }
}
