//! `GET /v1/events` and `GET /v1/tasks/{uuid}/events`: where tasks stand, as server-sent events.
//!
//! What changed is read from the store, so a stream is the same on every coordinator and can be taken up again on
//! another one: the id of an event says where to go on. One look serves all streams ([`crate::events::feed`]).

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
use crate::error::Refusal;

/// How often a stream asks whether its caller may still see; the answers are shared.
const CHECK_AGAIN: Duration = Duration::from_secs(1);
/// Sent when nothing happens, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Routes {
    many::routes().merge(one::routes()).tag("tasks")
}

/// The response that a stream of events is.
fn response(
    stream: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn server_sent(Position { cursor, step }: Position, event: &TaskEvent) -> Event {
    let id = format!("{}-{}-{step}", cursor.at.unix_micros(), cursor.task.0);
    let data = serde_json::to_string(event).expect("an event is plain data");
    Event::default().event("task").id(id).data(data)
}

/// Where an interrupted stream goes on.
fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Refusal> {
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
        None => Err(Refusal::invalid("Last-Event-ID is not the id of an event of this stream")
            .hint("leave it out, and look at the tasks once")),
    }
}
