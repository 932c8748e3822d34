//! `GET /v1/events` and `GET /v1/tasks/{uuid}/events`: state changes of tasks, as server-sent events.
//!
//! Changes are read from the store, so a stream is the same on every coordinator and can be resumed on another one by the
//! id of its last event. One query serves all streams ([`crate::events::feed`]).

mod many;
mod one;

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use http::HeaderMap;
use mitosis_domain::ids::TaskId;
use mitosis_protocol::Timestamp;
use mitosis_protocol::events::TaskEvent;
use mitosis_store::ops::events::{Cursor, Position};

use crate::api::routes::Routes;
use crate::error::Rejection;

/// How often a stream revalidates its caller. Lookups are cached.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The interval of keep-alive comments, so that proxies keep the connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Routes {
    many::routes().merge(one::routes()).tag("tasks")
}

/// Wraps a stream of events in a response.
pub(super) fn response(
    stream: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn server_sent(Position { cursor, step }: Position, event: &TaskEvent) -> Event {
    let id = format!("{}-{}-{step}", cursor.at.unix_micros(), cursor.task.0);
    let data = serde_json::to_string(event).expect("an event is plain data");
    Event::default().event("task").id(id).data(data)
}

/// The position at which an interrupted stream resumes.
fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Rejection> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let read = || {
        let (at, rest) = id.to_str().ok()?.split_once('-')?;
        let (task, step) = rest.split_once('-')?;
        let cursor =
            Cursor { at: Timestamp::from_unix_micros(at.parse().ok()?), task: TaskId(task.parse().ok()?) };
        Some(Position { cursor, step: step.parse().ok()? })
    };
    match read() {
        Some(position) => Ok(Some(position)),
        None => Err(Rejection::invalid("Last-Event-ID is not an event id of this stream")
            .hint("omit it, and query the tasks once")),
    }
}
