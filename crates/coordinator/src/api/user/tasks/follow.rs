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
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::revalidation::{AuthenticatedCaller, groups_of};
use crate::dispatch::peer_notifier::Hint;
use crate::error::ApiError;
use crate::events::feed::TaskChanges;
use crate::events::output_hub::Wake;
use crate::events::relay::RENEW_AFTER;

/// The longest time that a request is held.
pub(in crate::api) const MAX_WAIT: Duration = Duration::from_secs(20);
/// How often to revalidate the caller and to check for output. Lookups in the store are cached.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long to rely on notifications.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/tasks/{uuid}/output",
        Access::Read,
        follow,
        "Get live output from an offset of each stream",
    )
}

/// Replies when there is output, when the task has ended, or when `wait` has passed.
async fn follow(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    InPath(uuid): InPath<Uuid>,
    InQuery(query): InQuery<FollowQuery>,
) -> Result<Json<FollowReply>, ApiError> {
    let deadline = Instant::now() + query.wait.unwrap_or_default().min(MAX_WAIT);
    // When the request was last sent to the other coordinators.
    let mut requested: Option<Instant> = None;
    let mut changes = TaskChanges::subscribe(app.clone(), uuid);
    let mut seen: Option<(Instant, Task)> = None;
    // Registers before reading the task, so that an end in between still wakes. The registration is kept while the caller
    // and the task are checked, so that no bytes are missed.
    let mut following = app.output.follow(uuid, query.stdout, query.stderr);
    loop {
        authentication.revalidate(&app).await?;
        let groups = groups_of(&app, user.id).await?;
        let (looked, task) = match seen.take() {
            Some((at, task)) if at.elapsed() < POLL_INTERVAL && groups.contains(&task.group) => (at, task),
            _ => (Instant::now(), find(&app, &user, uuid, Action::View).await?),
        };
        let is_due = Instant::now() >= deadline || app.stopping.is_cancelled();
        if is_due || matches!(task.phase, Phase::Ended(_)) {
            return Ok(Json(reply(&task, Vec::new(), Vec::new())));
        }
        if let Phase::Running(attempt) = task.phase
            && !app.agents.follow(attempt.worker, uuid)
            && requested.is_none_or(|at| at.elapsed() >= RENEW_AFTER)
        {
            let FollowQuery { stdout, stderr, .. } = query;
            app.peers.send(Hint::Follow { agent: attempt.worker, task: uuid, stdout, stderr });
            requested = Some(Instant::now());
        }
        let until = deadline.min(Instant::now() + CHECK_INTERVAL);
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
