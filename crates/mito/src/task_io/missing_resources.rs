//! Finds the missing resources of a task.
//!
//! The result only states that a resource is missing; a member of the group can find out which.

use mitosis_client::{ClientError, UserClient};
use mitosis_protocol::task::RemoteFile;
use mitosis_protocol::{TaskInfo, TaskResult, TaskResultMessage, Uuid};

/// Describes the missing resources of a task that did not start for lack of them: ` (…)`, or nothing.
pub(crate) async fn describe(user: &UserClient, task: Uuid, result: TaskResult) -> String {
    if result.msg != Some(TaskResultMessage::ResourceNotFound) {
        return String::new();
    }
    match user.task(task).await {
        Ok(task) => match missing_names(user, &task.info).await.join(", ") {
            names if names.is_empty() => String::new(),
            names => format!(" ({names})"),
        },
        Err(_) => String::new(),
    }
}

/// The resources that are missing now. If none is missing any more, one of them was.
async fn missing_names(user: &UserClient, task: &TaskInfo) -> Vec<String> {
    let (mut missing, mut asked) = (Vec::new(), Vec::new());
    for resource in &task.spec.resources {
        let (name, gone) = match &resource.remote_file {
            RemoteFile::Attachment { key } => (
                format!("attachment {key} of group {}", task.group_name),
                is_missing(user.attachment(&task.group_name, key).await),
            ),
            RemoteFile::Artifact { uuid, content_type } => (
                format!("artifact {content_type} of task {uuid}"),
                is_missing(user.artifact_link(*uuid, *content_type).await),
            ),
        };
        if gone {
            missing.push(name.clone());
        }
        asked.push(name);
    }
    if missing.is_empty() { asked } else { missing }
}

fn is_missing<T>(found: Result<T, ClientError>) -> bool {
    found.is_err_and(|error| error.status() == Some(404))
}
