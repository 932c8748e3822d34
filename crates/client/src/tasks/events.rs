//! Streams changes of task states.

use std::time::Duration;

use mitosis_protocol::Uuid;
use mitosis_protocol::events::TaskEvent;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response};

use crate::{ClientError, UserClient};

/// The coordinator sends something at least every 15 s; after this long without data the connection is
/// considered dead.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

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
pub struct TaskEvents {
    response: Response,
    address: String,
    unread: Vec<u8>,
}

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
        let call = self.stream(Method::GET, &path).header("accept", "text/event-stream");
        let call = match after {
            Some(id) => call.header("last-event-id", id),
            None => call,
        };
        let response = tokio::time::timeout(IDLE_TIMEOUT, call.send()).await.map_err(|_| {
            ClientError::Silent { address: self.client().address().to_owned(), after: IDLE_TIMEOUT }
        })??;
        Ok(TaskEvents { response, address: self.client().address().to_owned(), unread: Vec::new() })
    }
}

impl TaskEvents {
    /// The next event and its id; none once the stream has ended, because the task has ended, the coordinator
    /// is stopping, or nothing has been received for too long.
    pub async fn next(&mut self) -> Result<Option<(String, TaskEvent)>, ClientError> {
        loop {
            while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                if let Some(event) = read(&String::from_utf8_lossy(&block)) {
                    return Ok(Some(event));
                }
            }
            let Ok(chunk) = tokio::time::timeout(IDLE_TIMEOUT, self.response.chunk()).await else {
                return Ok(None);
            };
            let unreachable = |error: reqwest::Error| ClientError::Unreachable {
                address: self.address.clone(),
                source: error.into(),
            };
            match chunk.map_err(unreachable)? {
                Some(bytes) => self.unread.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// Parses a block of lines as an event of a task; returns none for anything else.
fn read(block: &str) -> Option<(String, TaskEvent)> {
    let field = |name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim_start))
    };
    match field("event")? {
        "task" => Some((field("id")?.to_owned(), serde_json::from_str(field("data")?).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_is_parsed_and_other_blocks_skipped() {
        let data = r#"{"uuid":"3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a","group_name":"lab","task_id":17,"state":"Ready","result":null,"at":"2031-02-09 17:04:05.25 +00:00:00"}"#;
        let (id, event) = read(&format!("event: task\nid:1-17-4\ndata: {data}\n\n")).unwrap();
        assert_eq!((id.as_str(), event.task_id), ("1-17-4", 17));
        for other in [":\n\n", "event: moon\nid: 1\ndata: {}\n\n", "event: task\nid: 1\ndata: {\n\n", "\n\n"]
        {
            assert!(read(other).is_none(), "{other}");
        }
    }
}
