//! `GET /v1/events` and `GET /v1/tasks/{uuid}/events`: where tasks stand, as server-sent events.
//!
//! A stream looks at the store, so it is the same on every coordinator and can be taken up again on
//! another one: the id of an event says where to go on. Between looks it sleeps until something happens
//! here, or for a second, in which other coordinators may have done something.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use http::HeaderMap;
use mitosis_domain::account::User;
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::permission::Action;
use mitosis_domain::task::Task;
use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::{TaskState, Timestamp, Uuid};
use mitosis_store::ops::events::{ChangeQuery, Cursor};
use serde::Deserialize;

use super::tasks::{find, view};
use crate::api::body::{InPath, InQuery};
use crate::api::members::permit;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::standing::{LastingCaller, Standing};
use crate::dispatch::bell::Listener;
use crate::error::{ApiError, Refusal, chain};
use crate::shares::Counted;

const PAGE: u64 = 1_000;
/// How long to rely on being woken; other coordinators do not wake the streams of this one.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How much earlier than the last event to look: clocks differ a little, and commits overtake.
const OVERLAP: Duration = Duration::from_secs(5);
/// Sent when nothing happens, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/events", Asks::Look, many).get("/v1/tasks/{uuid}/events", Asks::Look, one)
}

/// What follows the question mark.
#[derive(Deserialize)]
struct Filter {
    /// Only this group; all of the caller's unless given.
    group: Option<String>,
    /// Only tasks with this label.
    label: Option<String>,
}

async fn many(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    headers: HeaderMap,
    InQuery(filter): InQuery<Filter>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    groups(&app, &user, filter.group.as_deref()).await?;
    let open = app.streams.open(user.id)?;
    let last = last_event_id(&headers)?;
    let begin = last.map_or_else(|| app.now(), |place| place.cursor.at) - OVERLAP;
    let after = Cursor { at: begin, task: TaskId(0) };
    let mut many = Many {
        app,
        _open: open,
        user,
        standing,
        filter,
        after,
        told: HashMap::new(),
        queue: VecDeque::new(),
    };
    if last.is_none() {
        many.pass_over_what_was().await?;
    }
    let stream = futures_util::stream::unfold(many, |mut many| async {
        let event = many.next().await?;
        Some((Ok(event), many))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The groups that a user may see now, by name or all.
async fn groups(app: &App, user: &User, name: Option<&str>) -> Result<Vec<GroupId>, ApiError> {
    if let Some(name) = name {
        let membership = app.store.membership(user.id, name).await?;
        return Ok(vec![permit(membership, name, Action::View)?]);
    }
    Ok(app.store.group_ids_of(user.id).await?)
}

/// Sleeps until something happens here, or may have happened elsewhere.
async fn something_new(app: &App, bell: &mut Listener, news: &mut Listener) {
    tokio::select! {
        () = bell.heard() => {}
        () = news.heard() => {}
        () = tokio::time::sleep(LOOK_AGAIN) => {}
        () = app.stopping.cancelled() => {}
    }
}

/// A stream of many tasks.
struct Many {
    app: App,
    _open: Counted,
    user: User,
    standing: Standing,
    filter: Filter,
    after: Cursor,
    /// What was told lately, so that the overlap is not told twice.
    told: HashMap<TaskId, Place>,
    queue: VecDeque<(Place, TaskEvent)>,
}

impl Many {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((place, event)) = self.queue.pop_front() {
                return Some(server_sent(place, &event));
            }
            if self.app.stopping.is_cancelled() {
                return None;
            }
            let (mut bell, mut news) = (self.app.bell.listen(), self.app.news.listen());
            match self.look().await {
                Ok(()) if self.queue.is_empty() => {}
                Ok(()) => continue,
                Err(ApiError::Store(fault)) if fault.is_transient() => {}
                Err(error) => {
                    // A member no more, or a defect: the client asks again and is told.
                    tracing::debug!(cause = chain(&error), "a stream of events ends");
                    return None;
                }
            }
            something_new(&self.app, &mut bell, &mut news).await;
        }
    }

    /// What is there already is not told. It is looked at all the same: what is written from now on may bear
    /// a time before, and would be missed by going on from this moment.
    async fn pass_over_what_was(&mut self) -> Result<(), ApiError> {
        loop {
            self.look().await?;
            let found = self.queue.len() as u64;
            self.queue.clear();
            if found < PAGE {
                return Ok(());
            }
        }
    }

    /// Whether the caller may still see is asked each time.
    async fn look(&mut self) -> Result<(), ApiError> {
        self.standing.check(&self.app).await?;
        let groups = groups(&self.app, &self.user, self.filter.group.as_deref()).await?;
        let query = ChangeQuery { groups, label: self.filter.label.clone() };
        let mut after = self.after;
        loop {
            let page = self.app.store.changes(&query, after, PAGE).await?;
            let full = page.len() as u64 == PAGE;
            for (cursor, event) in page {
                after = cursor;
                let place = Place { cursor, step: step(&event) };
                if self.told.insert(cursor.task, place) != Some(place) {
                    self.queue.push_back((place, event));
                }
            }
            if !full || self.queue.len() as u64 >= PAGE {
                break;
            }
        }
        let horizon = after.at - OVERLAP;
        if self.queue.len() as u64 >= PAGE {
            self.after = after;
        } else if horizon > self.after.at {
            self.after = Cursor { at: horizon, task: TaskId(0) };
        }
        self.told.retain(|_, place| place.cursor.at >= self.after.at);
        Ok(())
    }
}

async fn one(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    headers: HeaderMap,
    InPath(uuid): InPath<Uuid>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    find(&app, &user, uuid, Action::View).await?;
    let open = app.streams.open(user.id)?;
    let told = last_event_id(&headers)?;
    let one = One { app, _open: open, user, standing, uuid, told, over: false };
    let stream = futures_util::stream::unfold(one, |mut one| async {
        let event = one.next().await?;
        Some((Ok(event), one))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// A stream of one task: where it stands, then every change, until it is over.
struct One {
    app: App,
    _open: Counted,
    user: User,
    standing: Standing,
    uuid: Uuid,
    told: Option<Place>,
    over: bool,
}

impl One {
    async fn next(&mut self) -> Option<Event> {
        while !self.over && !self.app.stopping.is_cancelled() {
            let (mut bell, mut news) = (self.app.bell.listen(), self.app.news.listen());
            match self.look().await {
                Ok(task) => {
                    let cursor = Cursor { at: task.updated_at, task: task.id };
                    let event = TaskEvent::from(view::info(task));
                    let place = Place { cursor, step: step(&event) };
                    self.over = event.result.is_some();
                    if self.told != Some(place) {
                        self.told = Some(place);
                        return Some(server_sent(place, &event));
                    }
                }
                Err(ApiError::Store(fault)) if fault.is_transient() => {}
                Err(_) => return None,
            }
            if self.over {
                return None;
            }
            something_new(&self.app, &mut bell, &mut news).await;
        }
        None
    }
}

impl One {
    /// Whether the caller may still see is asked each time.
    async fn look(&self) -> Result<Task, ApiError> {
        self.standing.check(&self.app).await?;
        find(&self.app, &self.user, self.uuid, Action::View).await
    }
}

/// Where a task stands, as part of an id: what changes within one microsecond is told apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    cursor: Cursor,
    step: u8,
}

/// Rises on the way of a task.
fn step(event: &TaskEvent) -> u8 {
    match event.state {
        TaskState::Pending => 0,
        TaskState::Ready => 1,
        TaskState::Running => 2,
        TaskState::Finished | TaskState::Cancelled if event.result.is_none() => 3,
        TaskState::Finished | TaskState::Cancelled | TaskState::Unknown => 4,
    }
}

fn server_sent(Place { cursor, step }: Place, event: &TaskEvent) -> Event {
    let id = format!("{}-{}-{step}", cursor.at.unix_micros(), cursor.task.0);
    let data = serde_json::to_string(event).expect("an event is plain data");
    Event::default().event("task").id(id).data(data)
}

/// Where an interrupted stream goes on.
fn last_event_id(headers: &HeaderMap) -> Result<Option<Place>, Refusal> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let read = || {
        let (at, rest) = id.to_str().ok()?.split_once('-')?;
        let (task, step) = rest.split_once('-')?;
        let cursor =
            Cursor { at: Timestamp::from_unix_micros(at.parse().ok()?), task: TaskId(task.parse().ok()?) };
        Some(Place { cursor, step: step.parse().ok()? })
    };
    match read() {
        Some(place) => Ok(Some(place)),
        None => Err(Refusal::invalid("Last-Event-ID is not the id of an event of this stream")
            .hint("leave it out, and look at the tasks once")),
    }
}
