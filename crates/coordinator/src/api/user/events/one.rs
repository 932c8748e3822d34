//! `GET /v1/tasks/{uuid}/events`: one task.

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

use super::{CHECK_AGAIN, last_event_id, response, server_sent};
use crate::api::body::InPath;
use crate::api::routes::{Asks, Routes};
use crate::api::user::tasks::{find, view};
use crate::app::App;
use crate::auth::standing::{LastingCaller, Standing, groups_of};
use crate::error::ApiError;
use crate::events::feed::TaskChanges;
use crate::shares::Counted;

/// How long to rely on hearing of changes.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/tasks/{uuid}/events", Asks::Look, one, "State changes of a task until it ends")
}

async fn one(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    headers: HeaderMap,
    InPath(uuid): InPath<Uuid>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    // Listens first, so that nothing after the first look is missed.
    let changes = TaskChanges::listen(app.clone(), uuid);
    let task = find(&app, &user, uuid, Action::View).await?;
    let open = app.streams.open(user.id)?;
    let told = last_event_id(&headers)?;
    let one = One {
        app,
        _open: open,
        user,
        standing,
        uuid,
        group: task.group,
        changes,
        look_at: Instant::now(),
        told,
        is_over: false,
    };
    Ok(response(futures_util::stream::unfold(one, |mut one| async {
        let event = one.next().await?;
        Some((Ok(event), one))
    })))
}

/// A stream of one task: where it stands, then every change, until it is over.
struct One {
    app: App,
    _open: Counted,
    user: User,
    standing: Standing,
    uuid: Uuid,
    group: GroupId,
    changes: TaskChanges,
    /// When to look at the task itself.
    look_at: Instant,
    told: Option<Position>,
    is_over: bool,
}

impl One {
    async fn next(&mut self) -> Option<Event> {
        while !self.is_over && !self.app.stopping.is_cancelled() {
            match self.advance().await {
                Ok(Some((position, event))) => {
                    self.is_over = event.result.is_some();
                    if self.told != Some(position) {
                        self.told = Some(position);
                        return Some(server_sent(position, &event));
                    }
                }
                Ok(None) => {}
                Err(error) if error.is_outage() => {
                    self.look_at = Instant::now();
                    sleep(CHECK_AGAIN).await;
                }
                Err(_) => return None,
            }
        }
        None
    }

    /// Where the task stands, when there may be something to tell.
    async fn advance(&mut self) -> Result<Option<(Position, TaskEvent)>, ApiError> {
        self.check().await?;
        let now = Instant::now();
        if self.look_at <= now {
            return self.look().await.map(Some);
        }
        let (position, event) = tokio::select! {
            change = self.changes.next() => change,
            () = sleep_until(self.look_at.min(now + CHECK_AGAIN)) => return Ok(None),
            () = self.app.stopping.cancelled() => return Ok(None),
        };
        self.check().await?;
        match self.told {
            // The look at the task itself has a later time where more than its state was changed.
            Some(told) if told.step == position.step && told.cursor.at >= position.cursor.at => Ok(None),
            // Found before what was told, or by a clock that is behind.
            Some(told) if told.cursor.at > position.cursor.at => self.look().await.map(Some),
            _ => Ok(Some((position, event))),
        }
    }

    /// Whether the caller may still see.
    async fn check(&self) -> Result<(), ApiError> {
        self.standing.check(&self.app).await?;
        match groups_of(&self.app, self.user.id).await?.contains(&self.group) {
            true => Ok(()),
            // Says why.
            false => find(&self.app, &self.user, self.uuid, Action::View).await.map(drop),
        }
    }

    async fn look(&mut self) -> Result<(Position, TaskEvent), ApiError> {
        let task = find(&self.app, &self.user, self.uuid, Action::View).await?;
        self.look_at = Instant::now() + POLL_INTERVAL;
        let cursor = Cursor { at: task.updated_at, task: task.id };
        let event = TaskEvent::from(view::info(task));
        Ok((Position::of(cursor, &event), event))
    }
}
