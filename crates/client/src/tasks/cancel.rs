//! Cancelling tasks that wait.

use mitosis_protocol::Uuid;
use mitosis_protocol::task::{
    CancelTasksListRequest, CancelledTasksListReply, CancelledTasksReply, TaskFilter,
};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `DELETE /tasks/{uuid}`. Refused with 404 once the task runs.
    pub async fn cancel(&self, uuid: Uuid) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/tasks/{uuid}")).done().await
    }

    /// `POST /tasks/cancel`: those that match and wait, all or none.
    pub async fn cancel_many(&self, filter: &TaskFilter) -> Result<CancelledTasksReply, ClientError> {
        self.call(Method::POST, "/tasks/cancel").json(filter).read().await
    }

    /// `POST /tasks/cancel/list`: as many as can be; the reply names the others.
    pub async fn cancel_listed(
        &self,
        list: &CancelTasksListRequest,
    ) -> Result<CancelledTasksListReply, ClientError> {
        self.call(Method::POST, "/tasks/cancel/list").json(list).read().await
    }
}
