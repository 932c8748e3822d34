//! Links to a task's archives.

use mitosis_protocol::storage::DownloadReply;
use mitosis_protocol::{ArtifactKind, Uuid};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /tasks/{uuid}/download/artifacts/{kind}`: where the archive can be read for a while.
    pub async fn artifact_link(&self, uuid: Uuid, kind: ArtifactKind) -> Result<DownloadReply, ClientError> {
        self.call(Method::GET, &format!("/tasks/{uuid}/download/artifacts/{kind}")).read().await
    }
}
