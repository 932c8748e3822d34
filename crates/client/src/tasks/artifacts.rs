//! Artifacts of tasks (HTTP contract §10).

use mitosis_protocol::artifact::{
    ArtifactDownloadsReply, ArtifactsByFilterRequest, ArtifactsByListRequest, DeletedArtifactsListReply,
    DeletedArtifactsReply, UploadArtifactRequest,
};
use mitosis_protocol::storage::{DownloadReply, UploadReply};
use mitosis_protocol::{ArtifactKind, Uuid};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /tasks/{uuid}/artifacts`: an upload link. The space is charged at once.
    pub async fn announce_artifact(
        &self,
        uuid: Uuid,
        request: &UploadArtifactRequest,
    ) -> Result<UploadReply, ClientError> {
        self.call(Method::POST, &format!("/tasks/{uuid}/artifacts")).uploading().json(request).read().await
    }

    /// `GET /tasks/{uuid}/download/artifacts/{kind}`: a download link.
    pub async fn artifact_link(&self, uuid: Uuid, kind: ArtifactKind) -> Result<DownloadReply, ClientError> {
        self.call(Method::GET, &format!("/tasks/{uuid}/download/artifacts/{kind}")).read().await
    }

    /// `DELETE /tasks/{uuid}/artifacts/{kind}`. Refused for an hour after the last upload.
    pub async fn delete_artifact(&self, uuid: Uuid, kind: ArtifactKind) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/tasks/{uuid}/artifacts/{kind}")).done().await
    }

    /// `POST /tasks/download/artifacts`. Tasks without that archive are left out.
    pub async fn artifact_links(
        &self,
        filter: &ArtifactsByFilterRequest,
    ) -> Result<ArtifactDownloadsReply, ClientError> {
        self.require_for(&filter.filter).await?;
        self.call(Method::POST, "/tasks/download/artifacts").json(filter).read().await
    }

    /// `POST /tasks/download/artifacts/list`. Tasks without that archive are left out.
    pub async fn listed_artifact_links(
        &self,
        list: &ArtifactsByListRequest,
    ) -> Result<ArtifactDownloadsReply, ClientError> {
        self.call(Method::POST, "/tasks/download/artifacts/list").json(list).read().await
    }

    /// `POST /tasks/delete/artifacts`. Artifacts of the last hour are skipped.
    pub async fn delete_artifacts(
        &self,
        filter: &ArtifactsByFilterRequest,
    ) -> Result<DeletedArtifactsReply, ClientError> {
        self.require_for(&filter.filter).await?;
        self.call(Method::POST, "/tasks/delete/artifacts").in_bulk().json(filter).read().await
    }

    /// `POST /tasks/delete/artifacts/list`: deletes as many as possible; the reply lists the others.
    pub async fn delete_listed_artifacts(
        &self,
        list: &ArtifactsByListRequest,
    ) -> Result<DeletedArtifactsListReply, ClientError> {
        self.call(Method::POST, "/tasks/delete/artifacts/list").in_bulk().json(list).read().await
    }
}
