//! Cancelling tasks that wait.

use mitosis_protocol::task::{
    CancelTasksListRequest, CancelledTasksListReply, CancelledTasksReply, TaskFilter,
};
use mitosis_protocol::{TaskState, Uuid};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `DELETE /tasks/{uuid}`. Refused with 404 once the task runs.
    pub async fn cancel(&self, uuid: Uuid) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/tasks/{uuid}")).done().await
    }

    /// `POST /tasks/cancel`: those that match and wait, all or none.
    pub async fn cancel_many(&self, filter: &TaskFilter) -> Result<CancelledTasksReply, ClientError> {
        self.require_for(filter).await?;
        if waits_for_nothing(filter) {
            // It would cancel what waits, whatever the states are.
            self.require("cancelling by states other than ready and pending").await?;
        }
        self.call(Method::POST, "/tasks/cancel").in_bulk().json(filter).read().await
    }

    /// `POST /tasks/cancel/list`: as many as can be; the reply names the others.
    pub async fn cancel_listed(
        &self,
        list: &CancelTasksListRequest,
    ) -> Result<CancelledTasksListReply, ClientError> {
        self.call(Method::POST, "/tasks/cancel/list").in_bulk().json(list).read().await
    }
}

/// Whether a filter asks for states, and for none in which a task can be cancelled.
fn waits_for_nothing(filter: &TaskFilter) -> bool {
    let waits = |state: &TaskState| matches!(state, TaskState::Ready | TaskState::Pending);
    filter.states.as_ref().is_some_and(|states| !states.iter().any(waits))
}
