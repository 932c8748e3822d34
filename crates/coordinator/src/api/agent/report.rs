//! `POST /v1/agents/report`: takes what ended, and hands out what is next, in one transaction.

use axum::Json;
use axum::extract::State;
use mitosis_domain::crash;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::agent::{
    AttemptVerdict, EndedTask, MAX_BATCH, MAX_DATA_BYTES, ReportBatch, ReportBatchReply,
};
use mitosis_protocol::warning::MAX_WARNINGS;
use mitosis_protocol::{
    ArtifactKind, ExecState, ResultWarning, TaskResult, TaskResultMessage, Uuid, WarningCode,
};
use mitosis_store::ops::dispatch::{Ended, Exchange, Given, Holder, Verdict};

use super::{assigned, too_many, wanted};
use crate::api::arrival::missing_archives;
use crate::api::body::Body;
use crate::api::leases::lease_key;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::agent::{Agent, AgentCaller};
use crate::auth::worker::not_registered;
use crate::error::{ApiError, Refusal};
use crate::events::states;

/// Most states in one report: those of as many tasks as it may name, from start to end.
const MOST_STATES: usize = 10 * MAX_BATCH;

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/v1/agents/report",
        Asks::Worker,
        report,
        "Hand in what ended, and get the next tasks",
    )
}

/// Each attempt gets a verdict of its own; one that is not the agent's any more changes nothing. 401 when
/// the agent is not registered any more, and nothing it says counts.
async fn report(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Body(request): Body<ReportBatch>,
) -> Result<Json<ReportBatchReply>, ApiError> {
    if request.ended.len().max(request.returned.len()) > MAX_BATCH {
        return Err(too_many(MAX_BATCH, "attempts").into());
    }
    if request.states.len() > MOST_STATES {
        return Err(too_many(MOST_STATES, "states").into());
    }
    // Before what ended, so that they are announced in their order.
    states::pass_on(&app, agent, request.states).await;
    if request.want == 0 && request.ended.is_empty() && request.returned.is_empty() {
        return Ok(Json(ReportBatchReply::default()));
    }
    let results: Vec<TaskResult> = request.ended.iter().map(|ended| ended.result).collect();
    let mut ended = Vec::with_capacity(request.ended.len());
    for task in request.ended {
        ended.push(read(&app, task).await?);
    }
    let returned: Vec<_> = request.returned.into_iter().map(lease_key).collect();
    let has_news = !ended.is_empty() || !returned.is_empty();
    let exchange = Exchange {
        worker: agent.id,
        ended,
        returned,
        want: wanted(request.want),
        token: app.entropy.number(),
    };
    let exchanged = app.batcher.exchange(exchange).await?;
    if has_news {
        app.changed.notify();
    }
    for (verdict, result) in exchanged.verdicts.iter().zip(results) {
        if let Verdict::Committed(task) = verdict {
            app.output.changed(*task);
            committed(&app, agent, *task, result);
        }
    }
    if has_news {
        crash::point("complete.reply:before");
    }
    let verdicts = exchanged.verdicts.into_iter().map(told).collect();
    let (tasks, drain) = match exchanged.given {
        Given::Work(work, _) => (assigned(&app, agent, work)?, false),
        Given::Stopping => (Vec::new(), true),
        Given::WorkerGone => {
            app.agents.forget(agent.uuid);
            return Err(not_registered(&app, agent.uuid).await);
        }
    };
    Ok(Json(ReportBatchReply { verdicts, tasks, drain }))
}

/// Tells those who watch a task that it is over.
fn committed(app: &App, agent: Agent, task: Uuid, result: TaskResult) {
    states::tell(app, agent.uuid, task, ExecState::TaskCommitted);
    if app.announcer.is_on() {
        let told = app.agents.does_tell_states(agent.uuid);
        app.announcer.committed(task, result.msg.filter(|_| !told));
        app.agents.let_go(agent.uuid, task);
    }
}

const fn told(verdict: Verdict) -> AttemptVerdict {
    match verdict {
        Verdict::Committed(_) | Verdict::Replayed => AttemptVerdict::Accepted,
        Verdict::Stale => AttemptVerdict::Stale,
    }
}

/// Checks an end. Archives that were announced have to be there.
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
    Ok(Ended { lease, end, result, data, warnings })
}

/// The worker may have said so itself, and knows why.
fn warn_of_missing(kind: ArtifactKind, warnings: &mut Vec<ResultWarning>) {
    if !warnings.iter().any(|known| known.artifact == Some(kind) && known.code == WarningCode::NotStored) {
        let text = format!("the archive `{kind}` did not arrive as it was announced");
        warnings.insert(0, ResultWarning::new(WarningCode::NotStored, Some(kind), text));
    }
}

/// The small result of a task: a JSON object that every database takes.
fn checked(data: &str) -> Result<String, Refusal> {
    if data.len() > MAX_DATA_BYTES {
        return Err(Refusal::invalid(format!("the data of a task has at most {MAX_DATA_BYTES} bytes")));
    }
    if !data.starts_with('{') || data.contains("\\u0000") {
        return Err(Refusal::invalid("the data of a task is a JSON object without NUL characters"));
    }
    Ok(data.to_owned())
}
