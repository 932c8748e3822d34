//! Follows the output of a running task.

use std::time::Duration;

use mitosis_protocol::Uuid;
use mitosis_protocol::output::{FollowQuery, FollowReply};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;

use crate::{ClientError, UserClient};

/// Time limit in addition to the time for which the request is held.
const LONG_POLL_MARGIN: Duration = Duration::from_secs(15);

impl UserClient {
    /// `GET /v1/tasks/{uuid}/output`: output after the given offsets, or the state of the task once `wait` has
    /// passed.
    pub async fn follow(&self, uuid: Uuid, query: &FollowQuery) -> Result<FollowReply, ClientError> {
        self.require("output while a task runs").await?;
        let FollowQuery { stdout, stderr, tail, since, attempt, wait } = query;
        let wait = wait.unwrap_or_default();
        let tail = tail.map(|lines| format!("&tail={lines}")).unwrap_or_default();
        let since =
            since.as_ref().map(|since| format!("&since={}", utf8_percent_encode(since, NON_ALPHANUMERIC)));
        let since = since.unwrap_or_default();
        let attempt = attempt.map(|attempt| format!("&attempt={attempt}")).unwrap_or_default();
        let wait_seconds = wait.as_secs();
        let path = format!(
            "/v1/tasks/{uuid}/output?stdout={stdout}&stderr={stderr}&wait={wait_seconds}s{tail}{since}{attempt}"
        );
        self.call(Method::GET, &path).within(wait + LONG_POLL_MARGIN).read().await
    }
}
