//! Cancels waiting tasks.

use mitosis_protocol::task::{
    CancelTasksListRequest, CancelledTasksListReply, CancelledTasksReply, TaskFilter,
};
use mitosis_protocol::{TaskState, Uuid};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `DELETE /tasks/{uuid}`. Refused with 404 once the task is running.
    pub async fn cancel(&self, uuid: Uuid) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/tasks/{uuid}")).done().await
    }

    /// `POST /tasks/cancel`: cancels all waiting tasks that match, or none.
    pub async fn cancel_many(&self, filter: &TaskFilter) -> Result<CancelledTasksReply, ClientError> {
        self.require_for(filter).await?;
        if waits_for_nothing(filter) {
            // An old coordinator would cancel all waiting tasks, regardless of the states.
            self.require("cancelling by states other than ready and pending").await?;
        }
        self.call(Method::POST, "/tasks/cancel").in_bulk().json(filter).read().await
    }

    /// `POST /tasks/cancel/list`: cancels as many as possible; the reply lists the others.
    pub async fn cancel_listed(
        &self,
        list: &CancelTasksListRequest,
    ) -> Result<CancelledTasksListReply, ClientError> {
        self.call(Method::POST, "/tasks/cancel/list").in_bulk().json(list).read().await
    }
}

/// Whether a filter selects only states in which no task can be cancelled.
fn waits_for_nothing(filter: &TaskFilter) -> bool {
    let waits = |state: &TaskState| matches!(state, TaskState::Ready | TaskState::Pending);
    filter.states.as_ref().is_some_and(|states| !states.iter().any(waits))
}
