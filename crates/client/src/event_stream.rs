//! Server-sent events.

use std::time::Duration;

use reqwest::{Method, Response};

use crate::{ClientError, UserClient};

/// The coordinator sends something at least every 15 s; after this long without data the connection is
/// considered dead.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// An open stream of events.
#[derive(Debug)]
pub(crate) struct EventStream {
    response: Response,
    address: String,
    unread: Vec<u8>,
}

/// An event, or a block that is none, such as a comment.
#[derive(Debug)]
pub(crate) struct Block(String);

impl UserClient {
    /// Opens a stream of events; `after` is the id of the last received event.
    pub(crate) async fn event_stream(
        &self,
        path: &str,
        after: Option<&str>,
    ) -> Result<EventStream, ClientError> {
        let call = self.stream(Method::GET, path).header("accept", "text/event-stream");
        let call = match after {
            Some(id) => call.header("last-event-id", id),
            None => call,
        };
        let response = tokio::time::timeout(IDLE_TIMEOUT, call.send()).await.map_err(|_| {
            ClientError::Silent { address: self.client().address().to_owned(), after: IDLE_TIMEOUT }
        })??;
        Ok(EventStream { response, address: self.client().address().to_owned(), unread: Vec::new() })
    }
}

impl EventStream {
    /// The next event that `read` accepts; none once the stream has ended, or nothing has been received for too
    /// long.
    pub(crate) async fn next<T>(
        &mut self,
        read: impl Fn(&Block) -> Option<T>,
    ) -> Result<Option<T>, ClientError> {
        loop {
            while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                if let Some(event) = read(&Block::new(&block)) {
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

impl Block {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The value of the first field with this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim_start))
    }
}
