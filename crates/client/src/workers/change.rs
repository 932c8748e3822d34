//! Changes the tags, labels and groups of a worker.

use mitosis_protocol::Uuid;
use mitosis_protocol::group::RelationsRequest;
use mitosis_protocol::task::LabelsRequest;
use mitosis_protocol::worker::{RemoveGroupsRequest, TagsRequest};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `PUT /workers/{uuid}/tags`.
    pub async fn set_worker_tags(&self, uuid: Uuid, tags: &TagsRequest) -> Result<(), ClientError> {
        self.call(Method::PUT, &format!("/workers/{uuid}/tags")).json(tags).done().await
    }

    /// `PUT /workers/{uuid}/labels`.
    pub async fn set_worker_labels(&self, uuid: Uuid, labels: &LabelsRequest) -> Result<(), ClientError> {
        self.call(Method::PUT, &format!("/workers/{uuid}/labels")).json(labels).done().await
    }

    /// `PUT /workers/{uuid}/groups`: sets these roles and keeps the others.
    pub async fn set_worker_roles(&self, uuid: Uuid, roles: &RelationsRequest) -> Result<(), ClientError> {
        self.call(Method::PUT, &format!("/workers/{uuid}/groups")).json(roles).done().await
    }

    /// `DELETE /workers/{uuid}/groups/remove`.
    pub async fn remove_worker_groups(
        &self,
        uuid: Uuid,
        groups: &RemoveGroupsRequest,
    ) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/workers/{uuid}/groups/remove")).json(groups).done().await
    }
}
