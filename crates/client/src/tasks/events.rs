//! Streams changes of task states.

use mitosis_protocol::Uuid;
use mitosis_protocol::events::TaskEvent;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::event_stream::{Block, EventStream};
use crate::{ClientError, UserClient};

/// The scope of an event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventScope {
    /// One task: its state, and every change until it ends.
    Task(Uuid),
    /// The tasks of one group, from now on.
    Group(String),
    /// The tasks of all the caller's groups, from now on.
    Own,
}

/// An open stream of events.
#[derive(Debug)]
pub struct TaskEvents(EventStream);

impl UserClient {
    /// `GET /v1/events` or `GET /v1/tasks/{uuid}/events`. With the id of the last received event, from this
    /// coordinator or another, the stream continues there; the last seconds may be repeated.
    pub async fn events(&self, scope: &EventScope, after: Option<&str>) -> Result<TaskEvents, ClientError> {
        self.require("waiting for tasks").await?;
        let path = match scope {
            EventScope::Task(uuid) => format!("/v1/tasks/{uuid}/events"),
            EventScope::Group(group) => {
                format!("/v1/events?group={}", utf8_percent_encode(group, NON_ALPHANUMERIC))
            }
            EventScope::Own => "/v1/events".to_owned(),
        };
        Ok(TaskEvents(self.event_stream(&path, after).await?))
    }
}

impl TaskEvents {
    /// The next event and its id; none once the stream has ended, because the task has ended, the coordinator
    /// is stopping, or nothing has been received for too long.
    pub async fn next(&mut self) -> Result<Option<(String, TaskEvent)>, ClientError> {
        self.0.next(read).await
    }
}

/// Parses a block as an event of a task; returns none for anything else.
fn read(block: &Block) -> Option<(String, TaskEvent)> {
    match block.field("event")? {
        "task" => Some((block.field("id")?.to_owned(), serde_json::from_str(block.field("data")?).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_is_parsed_and_other_blocks_skipped() {
        let data = r#"{"uuid":"3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a","group_name":"lab","task_id":17,"state":"Ready","result":null,"at":"2031-02-09 17:04:05.25 +00:00:00"}"#;
        let event = format!("event: task\nid:1-17-4\ndata: {data}\n\n");
        let (id, event) = read(&Block::new(event.as_bytes())).unwrap();
        assert_eq!((id.as_str(), event.task_id), ("1-17-4", 17));
        for other in [":\n\n", "event: moon\nid: 1\ndata: {}\n\n", "event: task\nid: 1\ndata: {\n\n", "\n\n"]
        {
            assert!(read(&Block::new(other.as_bytes())).is_none(), "{other}");
        }
    }
}
