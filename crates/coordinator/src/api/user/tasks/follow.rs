//! `GET /v1/tasks/{uuid}/output`: live output, from an offset on each stream.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::task::{Phase, Task};
use mitosis_protocol::output::{FollowQuery, FollowReply, LogPosition};
use mitosis_protocol::{Epoch, Timestamp, Uuid};
use tokio::time::Instant;

use super::live::{self, Event, Live};
use crate::api::body::{InPath, InQuery};
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::error::{ApiError, Rejection};
use crate::events::output_hub::{Part, Wanted};

/// The longest time that a request is held.
pub(in crate::api) const MAX_WAIT: Duration = Duration::from_secs(20);

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
    let position = position(&query, app.now())?;
    let live = Live { app, user, authentication, uuid, attempt: query.attempt.map(Epoch) };
    let FollowQuery { mut stdout, mut stderr, .. } = query;
    let mut is_located = false;
    if let Some(position) = position {
        let (event, task) = live.next(Wanted::Position(position), deadline).await?;
        let Event::Located(located) = event else { return Ok(Json(reply(&task))) };
        (stdout, stderr, is_located) = (located.stdout, located.stderr, true);
    }
    let (event, task) = live.next(Wanted::Bytes { stdout, stderr }, deadline).await?;
    let (out, err) = match event {
        Event::Bytes { stdout, stderr } => (stdout, stderr),
        Event::Located(_) | Event::Replaced(_) | Event::Ended | Event::Nothing => {
            (Part { offset: stdout, bytes: Vec::new() }, Part { offset: stderr, bytes: Vec::new() })
        }
    };
    Ok(Json(FollowReply {
        stdout_offset: (is_located || out.offset != stdout).then_some(out.offset),
        stdout: out.bytes,
        stderr_offset: (is_located || err.offset != stderr).then_some(err.offset),
        stderr: err.bytes,
        ..reply(&task)
    }))
}

/// The position from which the query wants output, if it names one.
fn position(query: &FollowQuery, now: Timestamp) -> Result<Option<LogPosition>, Rejection> {
    match (query.tail, &query.since) {
        (Some(lines), None) => Ok(Some(LogPosition::Tail { lines })),
        (None, Some(since)) => Ok(Some(live::since(since, now)?)),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Rejection::invalid("`tail` and `since` exclude each other")),
    }
}

/// A reply without output.
fn reply(task: &Task) -> FollowReply {
    let (result, warnings) = match &task.phase {
        Phase::Ended(ending) => (Some(ending.result), ending.warnings.clone()),
        Phase::Pending | Phase::Ready | Phase::Running(_) | Phase::Reported(..) => (None, Vec::new()),
    };
    let attempt = (task.attempt > Epoch::ZERO).then_some(task.attempt.0);
    FollowReply { state: task.phase.state(), attempt, result, warnings, ..FollowReply::default() }
}
