//! `GET /v1/events`: state changes of many tasks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use http::{HeaderMap, StatusCode};
use mitosis_domain::account::User;
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_store::ops::events::{Change, ChangeQuery, Cursor, Position};
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{CHECK_INTERVAL, last_event_id, response, server_sent};
use crate::api::body::InQuery;
use crate::api::members;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::revalidation::{AuthenticatedCaller, Authentication, groups_of};
use crate::error::{ApiError, chain};
use crate::events::feed::{Changes, OVERLAP};
use crate::user_limits::CountGuard;

/// Events in one query of a stream that catches up.
const PAGE: u64 = 1_000;
/// Sent positions are removed when there are more than this, and twice as many as after the last cleanup.
const MIN_CLEANUP: usize = 1_000;

/// Query parameters.
#[derive(Deserialize, ToSchema)]
struct Filter {
    /// Only this group; all groups of the caller by default
    group: Option<String>,
    /// Only tasks with this label
    label: Option<String>,
}

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/events", Access::Read, many, "Stream the state changes of tasks")
}

async fn many(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    headers: HeaderMap,
    InQuery(filter): InQuery<Filter>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let group = match filter.group {
        Some(name) => Some((members::require(&app, &user, &name, Action::View).await?, name)),
        None => None,
    };
    let open = app.stream_limiter.open(user.id)?;
    let last = last_event_id(&headers)?;
    let begin = last.map_or_else(|| app.now(), |position| position.cursor.at) - OVERLAP;
    let mut stream = ManyTasksStream {
        changes: app.feed.subscribe(),
        app,
        _open: open,
        user,
        authentication,
        group,
        label: filter.label,
        visible: Arc::default(),
        after: Cursor { at: begin, task: TaskId(0) },
        newest: begin,
        started: None,
        is_behind: true,
        caught_up: Instant::now(),
        sent: HashMap::new(),
        kept: MIN_CLEANUP,
        queue: VecDeque::new(),
    };
    if last.is_none() {
        stream.start().await?;
    }
    Ok(response(futures_util::stream::unfold(stream, |mut stream| async {
        let event = stream.next().await?;
        Some((Ok(event), stream))
    })))
}

/// A stream of many tasks.
struct ManyTasksStream {
    app: App,
    _open: CountGuard,
    user: User,
    authentication: Authentication,
    group: Option<(GroupId, String)>,
    label: Option<String>,
    /// The groups of the user that the stream covers.
    visible: Arc<HashSet<GroupId>>,
    changes: broadcast::Receiver<Arc<Changes>>,
    /// The start of the query whose changes happened before the stream.
    started: Option<Instant>,
    /// Whether changes after `after` were missed and must be read.
    is_behind: bool,
    after: Cursor,
    /// The time of the last change that was read or received.
    newest: Timestamp,
    /// When the last query of the stream itself started.
    caught_up: Instant,
    /// Recently sent positions, so that no event is sent twice.
    sent: HashMap<TaskId, Position>,
    /// The number of positions after the last cleanup.
    kept: usize,
    queue: VecDeque<Event>,
}

impl ManyTasksStream {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.app.stopping.is_cancelled() {
                return None;
            }
            match self.advance().await {
                Ok(()) => {}
                Err(error) if error.is_outage() => {
                    self.is_behind = true;
                    tokio::time::sleep(CHECK_INTERVAL).await;
                }
                Err(error) => {
                    // No longer a member, or a defect: the client reconnects and gets the error.
                    tracing::debug!(cause = chain(&error), "an event stream ended");
                    return None;
                }
            }
        }
    }

    /// Waits for changes, or for the next revalidation of the caller.
    async fn advance(&mut self) -> Result<(), ApiError> {
        self.check().await?;
        if self.is_behind {
            return self.catch_up().await;
        }
        let mut check_again = pin!(tokio::time::sleep(CHECK_INTERVAL));
        loop {
            let received = tokio::select! {
                received = self.changes.recv() => received,
                () = &mut check_again => return Ok(()),
                () = self.app.stopping.cancelled() => return Ok(()),
            };
            match received {
                // There may be thousands of streams, and a change concerns only a few of them.
                Ok(changes) if self.visible.is_disjoint(&changes.groups) => self.skip(&changes),
                Ok(changes) => {
                    self.check().await?;
                    self.take(&changes);
                    return Ok(());
                }
                Err(RecvError::Lagged(_) | RecvError::Closed) => {
                    self.is_behind = true;
                    return Ok(());
                }
            }
        }
    }

    /// Revalidates the caller, and updates the visible groups.
    async fn check(&mut self) -> Result<(), ApiError> {
        self.authentication.revalidate(&self.app).await?;
        let mut visible = groups_of(&self.app, self.user.id).await?;
        if let Some((group, name)) = &self.group {
            if !visible.contains(group) {
                return Err(members::not_in(name, StatusCode::FORBIDDEN).into());
            }
            if self.visible.contains(group) {
                return Ok(());
            }
            visible = Arc::new(HashSet::from([*group]));
        }
        // Changes in newly visible groups were skipped.
        self.is_behind |= !visible.is_subset(&self.visible);
        self.visible = visible;
        Ok(())
    }

    /// Skips changes that the caller may not view.
    fn skip(&mut self, changes: &Changes) {
        self.newest = self.newest.max(changes.newest);
        self.advance_cursor(self.newest - OVERLAP);
    }

    fn take(&mut self, changes: &Changes) {
        let is_earlier = self.started.is_some_and(|started| changes.since <= started);
        for found in &changes.found {
            let (position, change) = (found.position, &found.change);
            // The query of the stream itself was later, and returned a newer state of the task.
            let is_stale = changes.since <= self.caught_up && self.sent.contains_key(&change.cursor.task);
            if self.matches(change) && !is_stale && self.is_new(position) && !is_earlier {
                self.queue.push_back(found.message(server_sent));
            }
        }
        self.skip(changes);
    }

    fn matches(&self, change: &Change) -> bool {
        self.visible.contains(&change.group)
            && self.label.as_deref().is_none_or(|wanted| change.labels.iter().any(|label| label == wanted))
    }

    /// Records a position. Returns whether it is new.
    fn is_new(&mut self, position: Position) -> bool {
        self.sent.insert(position.cursor.task, position) != Some(position)
    }

    /// Sets where the next query of the stream itself would start.
    fn advance_cursor(&mut self, horizon: Timestamp) {
        if horizon > self.after.at {
            self.after = Cursor { at: horizon, task: TaskId(0) };
            if self.sent.len() > 2 * self.kept {
                self.sent.retain(|_, position| position.cursor.at >= horizon);
                self.kept = self.sent.len().max(MIN_CLEANUP);
            }
        }
    }

    /// Starts a new stream. Changes that the next query or earlier ones return are not sent. Later changes are sent, even if
    /// their time is earlier.
    async fn start(&mut self) -> Result<(), ApiError> {
        self.check().await?;
        let app = self.app.clone();
        // `None` means that the coordinator is stopping, which ends the stream.
        if let Some(started) = app.stopping.run_until_cancelled(app.feed.next_query()).await {
            self.started = Some(started?);
            self.is_behind = false;
        }
        Ok(())
    }

    /// Subscribes, and reads missed changes, up to a page.
    async fn catch_up(&mut self) -> Result<(), ApiError> {
        let app = self.app.clone();
        let _permit = app.feed.catch_up_permit().await;
        self.changes = app.feed.subscribe();
        let query_started = Instant::now();
        let query = ChangeQuery { groups: self.visible.iter().copied().collect(), label: self.label.clone() };
        let mut after = self.after;
        loop {
            let page = app.store.changes(&query, after, PAGE).await?;
            let is_last = (page.len() as u64) < PAGE;
            for change in page {
                after = change.cursor;
                let position = Position::of(change.cursor, &change.event);
                if self.is_new(position) {
                    self.queue.push_back(server_sent(position, &change.event));
                }
            }
            if is_last {
                break;
            }
            if self.queue.len() as u64 >= PAGE {
                self.after = after;
                return Ok(());
            }
        }
        self.newest = self.newest.max(after.at);
        self.caught_up = query_started;
        self.is_behind = false;
        self.advance_cursor(self.newest.min(app.now()) - OVERLAP);
        Ok(())
    }
}
