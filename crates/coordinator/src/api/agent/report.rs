//! `POST /v1/agents/report`: reports ended attempts and assigns the next tasks, in one transaction.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use mitosis_domain::failpoints;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::agent::{
    self, AttemptVerdict, EndedTask, MAX_BATCH, MAX_DATA_BYTES, MAX_INLINE_BYTES, ReportBatch,
    ReportBatchReply,
};
use mitosis_protocol::warning::MAX_WARNINGS;
use mitosis_protocol::{
    ArtifactKind, ExecState, LeaseToken, ResultWarning, TaskResult, TaskResultMessage, Uuid, WarningCode,
};
use mitosis_store::ops::dispatch::{Assigned, Ended, Exchange, Holder, InlineArchive, Verdict};

use super::{assigned, too_many, wanted};
use crate::api::body::Body;
use crate::api::leases::lease_key;
use crate::api::routes::{Access, Routes};
use crate::api::upload_check::missing_archives;
use crate::app::App;
use crate::auth::agent::{Agent, AgentCaller};
use crate::auth::worker::not_registered;
use crate::error::{ApiError, Rejection};
use crate::events::states;

/// The largest number of states in one report: all states of a full batch.
const MAX_STATES: usize = 10 * MAX_BATCH;

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/v1/agents/report",
        Access::Worker,
        report,
        "Report ended tasks and get the next ones",
    )
}

/// Replies with one verdict per attempt. A report of an attempt that the agent no longer holds changes nothing. Replies
/// 401 if the agent is no longer registered; then nothing is accepted.
async fn report(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Body(request): Body<ReportBatch>,
) -> Result<Json<ReportBatchReply>, ApiError> {
    if request.ended.len().max(request.returned.len()) > MAX_BATCH {
        return Err(too_many(MAX_BATCH, "attempts").into());
    }
    if request.states.len() > MAX_STATES {
        return Err(too_many(MAX_STATES, "states").into());
    }
    // Before the ends, so that all states are announced in their order.
    states::forward(&app, agent, request.states).await;
    if request.want == 0 && !request.has_room && request.ended.is_empty() && request.returned.is_empty() {
        return Ok(Json(ReportBatchReply::default()));
    }
    let results: Vec<TaskResult> = request.ended.iter().map(|ended| ended.result).collect();
    let mut ended = Vec::with_capacity(request.ended.len());
    for task in request.ended {
        ended.push(read(&app, task).await?);
    }
    let returned: Vec<_> = request.returned.into_iter().map(lease_key).collect();
    let has_changes = !ended.is_empty() || !returned.is_empty();
    let exchange = Exchange {
        worker: agent.id,
        ended,
        returned,
        want: wanted(request.want),
        has_room: request.has_room,
        token: LeaseToken(app.entropy.number()),
    };
    let exchanged = app.batcher.exchange(exchange).await?;
    for (verdict, result) in exchanged.verdicts.iter().zip(results) {
        if let Verdict::Committed(task) = verdict {
            committed(&app, agent, *task, result);
        }
    }
    if has_changes {
        failpoints::point("complete.reply:before");
    }
    let verdicts = exchanged.verdicts.into_iter().map(verdict_reply).collect();
    let (tasks, drain) = match exchanged.assigned {
        Assigned::Work(work, _) => (assigned(&app, agent, work).await?, false),
        Assigned::Stopping => (Vec::new(), true),
        Assigned::WorkerGone => {
            app.agents.remove(agent.uuid);
            return Err(not_registered(&app, agent.uuid).await);
        }
    };
    Ok(Json(ReportBatchReply { verdicts, tasks, drain }))
}

/// Notifies those who watch a task that it has ended.
pub(super) fn committed(app: &App, agent: Agent, task: Uuid, result: TaskResult) {
    states::publish(app, agent.uuid, task, ExecState::TaskCommitted);
    if app.announcer.is_on() {
        let reports_states = app.agents.reports_states(agent.uuid);
        app.announcer.committed(task, result.msg.filter(|_| !reports_states));
        app.agents.remove_watched(agent.uuid, task);
    }
}

const fn verdict_reply(verdict: Verdict) -> AttemptVerdict {
    match verdict {
        Verdict::Committed(_) | Verdict::Replayed => AttemptVerdict::Accepted,
        Verdict::Stale => AttemptVerdict::Stale,
    }
}

/// Checks an ended attempt. Its announced archives must exist.
async fn read(app: &App, task: EndedTask) -> Result<Ended, ApiError> {
    let lease = lease_key(task.key);
    let mut result = task.result;
    let mut warnings = task.warnings;
    if task.left_archives {
        for kind in missing_archives(app, Holder::Lease(lease)).await {
            result.msg = result.msg.or(Some(TaskResultMessage::UploadResultTimeout));
            warn_of_missing(kind, &mut warnings);
        }
    }
    warnings.truncate(MAX_WARNINGS);
    let warnings = warnings.into_iter().map(ResultWarning::bounded).collect();
    let data = task.data.map(|data| checked(data.get())).transpose()?;
    let end = if task.cancelled { ExecEnd::Cancelled } else { ExecEnd::Finished };
    let archives = checked_archives(task.archives)?;
    Ok(Ended { lease, end, result, data, warnings, archives, usage: task.usage })
}

/// Adds a warning about a missing archive, unless the worker has reported one with its cause.
fn warn_of_missing(kind: ArtifactKind, warnings: &mut Vec<ResultWarning>) {
    if !warnings.iter().any(|known| known.artifact == Some(kind) && known.code == WarningCode::NotStored) {
        let text = format!("the archive `{kind}` was not uploaded as announced");
        warnings.insert(0, ResultWarning::new(WarningCode::NotStored, Some(kind), text));
    }
}

/// Checks the archives in a report: they are small, and there is one of each kind.
fn checked_archives(archives: Vec<agent::InlineArchive>) -> Result<Vec<InlineArchive>, Rejection> {
    let bytes: usize = archives.iter().map(|archive| archive.bytes.len()).sum();
    if bytes > MAX_INLINE_BYTES {
        return Err(Rejection::invalid(format!(
            "the archives of an attempt in a report can have at most {MAX_INLINE_BYTES} bytes"
        ))
        .hint("upload larger archives"));
    }
    let kinds: HashSet<ArtifactKind> = archives.iter().map(|archive| archive.kind).collect();
    if kinds.len() < archives.len() {
        return Err(Rejection::invalid("an attempt can have at most one archive of each kind"));
    }
    let stored = |agent::InlineArchive { kind, bytes }| InlineArchive { kind, bytes };
    Ok(archives.into_iter().map(stored).collect())
}

/// Checks the data of a task: a JSON object that every database can store.
fn checked(data: &str) -> Result<String, Rejection> {
    if data.len() > MAX_DATA_BYTES {
        return Err(Rejection::invalid(format!(
            "the data of a task can have at most {MAX_DATA_BYTES} bytes"
        )));
    }
    if !data.starts_with('{') || data.contains("\\u0000") {
        return Err(Rejection::invalid("the data of a task must be a JSON object without NUL characters"));
    }
    Ok(data.to_owned())
}
