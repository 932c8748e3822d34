//! Submission of one task, or of many.

use mitosis_protocol::task::{SubmitTaskReply, SubmitTaskRequest, SubmitTasksReply, SubmitTasksRequest};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /tasks`. The task is stored when this returns.
    pub async fn submit(&self, task: &SubmitTaskRequest) -> Result<SubmitTaskReply, ClientError> {
        if !task.task_spec.params.is_empty() {
            self.require("a task with parameters").await?;
        }
        self.call(Method::POST, "/tasks").json(task).read().await
    }

    /// `POST /tasks/submit`: one outcome per task, in order. With an idempotency key it is safe to
    /// repeat.
    pub async fn submit_many(&self, tasks: &SubmitTasksRequest) -> Result<SubmitTasksReply, ClientError> {
        if tasks.idempotency_key.is_some() || tasks.tasks.iter().any(|task| !task.task_spec.params.is_empty())
        {
            self.require("submission with `mito run` or `mito submit`").await?;
        }
        self.call(Method::POST, "/tasks/submit").in_bulk().json(tasks).read().await
    }
}
