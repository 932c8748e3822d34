//! `GET /v1/tasks/{uuid}/output`: live output, from an offset on each stream.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_domain::task::{Phase, Task};
use mitosis_protocol::Uuid;
use mitosis_protocol::output::{FollowQuery, FollowReply};
use tokio::time::{Instant, sleep_until};

use super::find;
use crate::api::body::{InPath, InQuery};
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::standing::{LastingCaller, groups_of};
use crate::dispatch::peer_notifier::Hint;
use crate::error::ApiError;
use crate::events::feed::TaskChanges;
use crate::events::output_hub::Wake;
use crate::events::relay::ASK_AGAIN;

/// The longest that a request is held.
pub(in crate::api) const MOST_WAIT: Duration = Duration::from_secs(20);
/// How often to ask whether the caller may still see, and for the output; the answers of the store are shared.
const CHECK_AGAIN: Duration = Duration::from_secs(1);
/// How long to rely on hearing of changes.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/tasks/{uuid}/output",
        Asks::Look,
        follow,
        "Live output, from an offset on each stream",
    )
}

/// Answers when there are bytes, when the task has ended, or when `wait` is over.
async fn follow(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    InPath(uuid): InPath<Uuid>,
    InQuery(query): InQuery<FollowQuery>,
) -> Result<Json<FollowReply>, ApiError> {
    let deadline = Instant::now() + query.wait.unwrap_or_default().min(MOST_WAIT);
    // When another coordinator, which has the agent, was asked.
    let mut asked: Option<Instant> = None;
    let mut changes = TaskChanges::listen(app.clone(), uuid);
    let mut seen: Option<(Instant, Task)> = None;
    // In line first, then a look: an end in between still wakes. The place in the line is kept while the caller and
    // the task are looked at, so that no bytes are missed.
    let mut following = app.output.follow(uuid, query.stdout, query.stderr);
    loop {
        standing.check(&app).await?;
        let groups = groups_of(&app, user.id).await?;
        let (looked, task) = match seen.take() {
            Some((at, task)) if at.elapsed() < POLL_INTERVAL && groups.contains(&task.group) => (at, task),
            _ => (Instant::now(), find(&app, &user, uuid, Action::View).await?),
        };
        let over = Instant::now() >= deadline || app.stopping.is_cancelled();
        if over || matches!(task.phase, Phase::Ended(_)) {
            return Ok(Json(reply(&task, Vec::new(), Vec::new())));
        }
        if let Phase::Running(attempt) = task.phase
            && !app.agents.follow(attempt.worker, uuid)
            && asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN)
        {
            let FollowQuery { stdout, stderr, .. } = query;
            app.peers.send(Hint::Follow { agent: attempt.worker, task: uuid, stdout, stderr });
            asked = Some(Instant::now());
        }
        let until = deadline.min(Instant::now() + CHECK_AGAIN);
        tokio::select! {
            wake = following.woken() => match wake {
                Wake::Bytes { stdout, stderr } => return Ok(Json(reply(&task, stdout, stderr))),
                Wake::Changed => following = app.output.follow(uuid, query.stdout, query.stderr),
            },
            _ = changes.next() => {}
            () = sleep_until(until) => seen = Some((looked, task)),
            () = app.stopping.cancelled() => {}
        }
    }
}

fn reply(task: &Task, stdout: Vec<u8>, stderr: Vec<u8>) -> FollowReply {
    let (result, warnings) = match &task.phase {
        Phase::Ended(ending) => (Some(ending.result), ending.warnings.clone()),
        Phase::Pending | Phase::Ready | Phase::Running(_) | Phase::Reported(..) => (None, Vec::new()),
    };
    FollowReply { stdout, stderr, state: task.phase.state(), result, warnings }
}
