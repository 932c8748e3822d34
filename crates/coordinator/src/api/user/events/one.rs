//! `GET /v1/tasks/{uuid}/events`: state changes of one task.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use http::HeaderMap;
use mitosis_domain::account::User;
use mitosis_domain::ids::GroupId;
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::events::TaskEvent;
use mitosis_store::ops::events::{Cursor, Position};
use tokio::time::{Instant, sleep, sleep_until};

use super::{CHECK_INTERVAL, last_event_id, response, server_sent};
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::{find, view};
use crate::app::App;
use crate::auth::revalidation::{AuthenticatedCaller, Authentication, groups_of};
use crate::error::ApiError;
use crate::events::feed::TaskChanges;
use crate::user_limits::CountGuard;

/// How long to rely on notifications.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/tasks/{uuid}/events",
        Access::Read,
        one,
        "Stream the state changes of a task until it ends",
    )
}

async fn one(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    headers: HeaderMap,
    InPath(uuid): InPath<Uuid>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    // Subscribes first, so that no change after the first query is missed.
    let changes = TaskChanges::subscribe(app.clone(), uuid);
    let task = find(&app, &user, uuid, Action::View).await?;
    let open = app.stream_limiter.open(user.id)?;
    let sent = last_event_id(&headers)?;
    let stream = OneTaskStream {
        app,
        _open: open,
        user,
        authentication,
        uuid,
        group: task.group,
        changes,
        read_at: Instant::now(),
        sent,
        has_ended: false,
    };
    Ok(response(futures_util::stream::unfold(stream, |mut stream| async {
        let event = stream.next().await?;
        Some((Ok(event), stream))
    })))
}

/// A stream of one task: its current state, then every change until it ends.
struct OneTaskStream {
    app: App,
    _open: CountGuard,
    user: User,
    authentication: Authentication,
    uuid: Uuid,
    group: GroupId,
    changes: TaskChanges,
    /// When to read the task itself.
    read_at: Instant,
    sent: Option<Position>,
    has_ended: bool,
}

impl OneTaskStream {
    async fn next(&mut self) -> Option<Event> {
        while !self.has_ended && !self.app.stopping.is_cancelled() {
            match self.advance().await {
                Ok(Some((position, event))) => {
                    self.has_ended = event.result.is_some();
                    if self.sent != Some(position) {
                        self.sent = Some(position);
                        return Some(server_sent(position, &event));
                    }
                }
                Ok(None) => {}
                Err(error) if error.is_outage() => {
                    self.read_at = Instant::now();
                    sleep(CHECK_INTERVAL).await;
                }
                Err(_) => return None,
            }
        }
        None
    }

    /// Waits for a change, and returns the state of the task if it may have changed.
    async fn advance(&mut self) -> Result<Option<(Position, TaskEvent)>, ApiError> {
        self.check().await?;
        let now = Instant::now();
        if self.read_at <= now {
            return self.read().await.map(Some);
        }
        let (position, event) = tokio::select! {
            change = self.changes.next() => change,
            () = sleep_until(self.read_at.min(now + CHECK_INTERVAL)) => return Ok(None),
            () = self.app.stopping.cancelled() => return Ok(None),
        };
        self.check().await?;
        match self.sent {
            // Reading the task itself returns a later time if more than its state has changed.
            Some(sent) if sent.step == position.step && sent.cursor.at >= position.cursor.at => Ok(None),
            // Older than the last sent event, or written with a slower clock.
            Some(sent) if sent.cursor.at > position.cursor.at => self.read().await.map(Some),
            _ => Ok(Some((position, event))),
        }
    }

    /// Revalidates the caller.
    async fn check(&self) -> Result<(), ApiError> {
        self.authentication.revalidate(&self.app).await?;
        match groups_of(&self.app, self.user.id).await?.contains(&self.group) {
            true => Ok(()),
            // Returns the reason.
            false => find(&self.app, &self.user, self.uuid, Action::View).await.map(drop),
        }
    }

    async fn read(&mut self) -> Result<(Position, TaskEvent), ApiError> {
        let task = find(&self.app, &self.user, self.uuid, Action::View).await?;
        self.read_at = Instant::now() + POLL_INTERVAL;
        let cursor = Cursor { at: task.updated_at, task: task.id };
        let event = TaskEvent::from(view::info(task));
        Ok((Position::of(cursor, &event), event))
    }
}
