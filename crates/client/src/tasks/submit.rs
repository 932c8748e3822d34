//! Submits one task or many.

use mitosis_protocol::TaskSpec;
use mitosis_protocol::auth::features;
use mitosis_protocol::task::{
    SubmitTaskReply, SubmitTaskRequest, SubmitTasksReply, SubmitTasksRequest, TaskDirectory,
};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// Checks that the coordinator knows all fields of a task: it would run the task without an unknown one.
    pub(crate) async fn require_for_spec(&self, spec: &TaskSpec) -> Result<(), ClientError> {
        self.require_for_surroundings(spec).await?;
        if spec.stop_signal.is_some() || spec.stop_grace.is_some() {
            let feature = "a task with a stop signal or a grace period";
            self.client().require_named(feature, features::STOPPING).await?;
        }
        match spec {
            TaskSpec { lost_after: Some(_), .. } => self.require("a task with `lost_after`").await,
            TaskSpec { idempotent: true, .. } => self.require("a task that is `idempotent`").await,
            TaskSpec { params, .. } if !params.is_empty() => self.require("a task with parameters").await,
            _ => Ok(()),
        }
    }

    /// A coordinator that ignores the directory that a task prefers starts it elsewhere, as it may.
    pub(crate) async fn require_for_surroundings(&self, spec: &TaskSpec) -> Result<(), ClientError> {
        if !spec.secrets.is_empty() {
            self.client().require_named("a task with secrets", features::SECRETS).await?;
        }
        if !spec.request.is_default() {
            self.client().require_named("a task that requests resources", features::PLACEMENT).await?;
        }
        let feature = match spec {
            TaskSpec { directory: Some(TaskDirectory::Prefer(_)), .. } => {
                self.require("a task with a directory").await?;
                None
            }
            TaskSpec { directory: Some(_), .. } => Some("a task with a directory"),
            _ => None,
        };
        let feature = match spec {
            TaskSpec { stdin: Some(_), .. } => Some("a task with standard input"),
            TaskSpec { files, .. } if !files.is_empty() => Some("a task with files"),
            _ => feature,
        };
        match feature {
            Some(feature) => self.client().require_named(feature, features::SURROUNDINGS).await,
            None => Ok(()),
        }
    }

    /// `POST /tasks`. The task is stored when this returns.
    pub async fn submit(&self, task: &SubmitTaskRequest) -> Result<SubmitTaskReply, ClientError> {
        self.require_for_spec(&task.task_spec).await?;
        self.call(Method::POST, "/tasks").json(task).read().await
    }

    /// `POST /tasks/submit`: one outcome for each task, in order. With an idempotency key it is safe to repeat.
    pub async fn submit_many(&self, tasks: &SubmitTasksRequest) -> Result<SubmitTasksReply, ClientError> {
        if tasks.idempotency_key.is_some() {
            self.require("submission with `mito run` or `mito submit`").await?;
        }
        for task in &tasks.tasks {
            self.require_for_spec(&task.task_spec).await?;
        }
        self.call(Method::POST, "/tasks/submit").in_bulk().json(tasks).read().await
    }
}
