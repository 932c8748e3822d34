//! Looking up what a task needs.

use mitosis_protocol::storage::DownloadReply;
use mitosis_protocol::task::GetTaskReply;
use mitosis_protocol::{ArtifactKind, Uuid};
use reqwest::Method;

use crate::{ClientError, WorkerClient};

impl WorkerClient {
    /// `GET /workers/tasks/{uuid}`: a task that another one watches.
    pub async fn task(&self, uuid: Uuid) -> Result<GetTaskReply, ClientError> {
        self.call(Method::GET, &format!("/workers/tasks/{uuid}")).read().await
    }

    /// `GET /workers/tasks/{uuid}/artifacts/{kind}`: an archive that task `uuid` left.
    pub async fn artifact_link(&self, uuid: Uuid, kind: ArtifactKind) -> Result<DownloadReply, ClientError> {
        self.call(Method::GET, &format!("/workers/tasks/{uuid}/artifacts/{kind}")).read().await
    }

    /// `GET /workers/tasks/{uuid}/attachments/{key}`: a file of the group of task `uuid`.
    pub async fn attachment_link(&self, uuid: Uuid, key: &str) -> Result<DownloadReply, ClientError> {
        let path = format!("/workers/tasks/{uuid}/attachments/{}", crate::transfer::encode_key(key));
        self.call(Method::GET, &path).read().await
    }
}
