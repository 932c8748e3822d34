//! Reads what a task needs: watched tasks and links to resources.

use std::time::Duration;

use mitosis_protocol::agent::ReachedReply;
use mitosis_protocol::storage::DownloadReply;
use mitosis_protocol::task::GetTaskReply;
use mitosis_protocol::{ArtifactKind, ExecState, Uuid};
use reqwest::Method;

use crate::{ClientError, WorkerClient};

/// Time limit in addition to the time for which the request is held.
const LONG_POLL_MARGIN: Duration = Duration::from_secs(30);

impl WorkerClient {
    /// `GET /workers/tasks/{uuid}`: the state of a watched task.
    pub async fn task(&self, uuid: Uuid) -> Result<GetTaskReply, ClientError> {
        self.call(Method::GET, &format!("/workers/tasks/{uuid}")).read().await
    }

    /// `GET /v1/workers/tasks/{uuid}/reached`: whether a task has reached a state, held for up to `wait`.
    pub async fn task_reached(
        &self,
        uuid: Uuid,
        target: ExecState,
        wait: Duration,
    ) -> Result<bool, ClientError> {
        let path = format!("/v1/workers/tasks/{uuid}/reached?target={target:?}&wait={}s", wait.as_secs());
        let reply: ReachedReply =
            self.call(Method::GET, &path).within(wait + LONG_POLL_MARGIN).read().await?;
        Ok(reply.reached)
    }

    /// `GET /workers/tasks/{uuid}/artifacts/{kind}`: a link to an archive of task `uuid`.
    pub async fn artifact_link(&self, uuid: Uuid, kind: ArtifactKind) -> Result<DownloadReply, ClientError> {
        self.call(Method::GET, &format!("/workers/tasks/{uuid}/artifacts/{kind}")).read().await
    }

    /// `GET /workers/tasks/{uuid}/attachments/{key}`: a link to an attachment of the group of task `uuid`.
    pub async fn attachment_link(&self, uuid: Uuid, key: &str) -> Result<DownloadReply, ClientError> {
        let path = format!("/workers/tasks/{uuid}/attachments/{}", crate::transfer::encode_key(key));
        self.call(Method::GET, &path).read().await
    }
}
