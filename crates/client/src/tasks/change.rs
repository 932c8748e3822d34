//! Changes a task.

use mitosis_protocol::Uuid;
use mitosis_protocol::task::{ChangeTaskRequest, LabelsRequest};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `PUT /tasks/{uuid}`. Refused with 404 unless the task is Ready.
    pub async fn change_task(&self, uuid: Uuid, change: &ChangeTaskRequest) -> Result<(), ClientError> {
        if let Some(spec) = &change.task_spec {
            self.require_for_spec(spec).await?;
        }
        self.call(Method::PUT, &format!("/tasks/{uuid}")).json(change).done().await
    }

    /// `PUT /tasks/{uuid}/labels`, in every state of the task.
    pub async fn set_task_labels(&self, uuid: Uuid, labels: &LabelsRequest) -> Result<(), ClientError> {
        self.call(Method::PUT, &format!("/tasks/{uuid}/labels")).json(labels).done().await
    }
}
