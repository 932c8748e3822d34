//! Reads the output of tasks as plain bytes.

use std::time::Duration;

use bytes::Bytes;
use mitosis_protocol::Uuid;
use mitosis_protocol::output::{LOG_OFFSET_HEADER, LogsQuery, OutputStream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response};

use crate::{ClientError, UserClient};

/// After this long without data the connection is considered dead. Finding the last lines of a long log without an index
/// takes a while.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// An open log.
#[derive(Debug)]
pub struct LogBytes {
    response: Response,
    address: String,
}

impl UserClient {
    /// `GET /v1/tasks/{uuid}/logs`: the output of a task as plain bytes.
    pub async fn logs(&self, uuid: Uuid, query: &LogsQuery) -> Result<LogBytes, ClientError> {
        self.require("reading a part of the output").await?;
        let address = self.client().address().to_owned();
        let path = format!("/v1/tasks/{uuid}/logs{}", text_of(query));
        let response = tokio::time::timeout(IDLE_TIMEOUT, self.stream(Method::GET, &path).send())
            .await
            .map_err(|_| ClientError::Silent { address: address.clone(), after: IDLE_TIMEOUT })??;
        Ok(LogBytes { response, address })
    }
}

fn text_of(query: &LogsQuery) -> String {
    let LogsQuery { stream, offset, stored_offset, tail, since, follow, attempt } = query;
    let stream = stream.map(|stream| match stream {
        OutputStream::Stdout => "stdout".to_owned(),
        OutputStream::Stderr => "stderr".to_owned(),
    });
    let since = since.as_deref().map(|since| utf8_percent_encode(since, NON_ALPHANUMERIC).to_string());
    let number = |number: &Option<u64>| number.map(|number| number.to_string());
    let fields = [
        ("stream", stream),
        ("offset", number(offset)),
        ("stored_offset", number(stored_offset)),
        ("tail", number(tail)),
        ("since", since),
        ("follow", follow.then(|| "true".to_owned())),
        ("attempt", attempt.map(|attempt| attempt.to_string())),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    let text: Vec<String> = given.collect();
    if text.is_empty() { String::new() } else { format!("?{}", text.join("&")) }
}

impl LogBytes {
    /// The offset of the first byte; see [`LOG_OFFSET_HEADER`].
    pub fn offset(&self) -> u64 {
        let offset = self.response.headers().get(LOG_OFFSET_HEADER);
        offset.and_then(|offset| offset.to_str().ok()?.parse().ok()).unwrap_or_default()
    }

    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            address: self.address.clone(),
            source: error.into(),
        };
        match tokio::time::timeout(IDLE_TIMEOUT, self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(unreachable),
            Err(_) => Err(ClientError::Silent { address: self.address.clone(), after: IDLE_TIMEOUT }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_has_the_given_fields_only() {
        assert_eq!(text_of(&LogsQuery::default()), "");
        let query = LogsQuery { since: Some("10 m".to_owned()), follow: true, ..LogsQuery::default() };
        assert_eq!(text_of(&query), "?since=10%20m&follow=true");
        let query = LogsQuery { stream: Some(OutputStream::Stderr), tail: Some(3), ..LogsQuery::default() };
        assert_eq!(text_of(&query), "?stream=stderr&tail=3");
    }
}
