//! Attachments below a common beginning of their keys, which a task fetches as a directory.

use mitosis_blueprint::literal;
use mitosis_client::UserClient;
use mitosis_domain::limits::MAX_RESOURCES;
use mitosis_protocol::attachment::QueryAttachmentsRequest;
use mitosis_protocol::task::{RemoteFile, ResourceDownload, SubmitTaskRequest};
use mitosis_sweep::retry_transient;

use crate::cli::task::StoredFolder;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// How many attachments to list at once.
const PAGE: u64 = 1_000;

/// Adds the present attachments of each directory to a task, whose group is known. With parameters, `is_plain` is false.
pub(crate) async fn add(
    folders: &[&StoredFolder],
    user: &UserClient,
    task: &mut SubmitTaskRequest,
    is_plain: bool,
) -> Result<(), Failure> {
    let in_task = |text: &str| if is_plain { text.to_owned() } else { literal(text) };
    for StoredFolder { prefix, local_path } in folders {
        let keys = keys_below(prefix, user, &task.group_name).await?;
        if keys.is_empty() {
            let message = format!("group {} has no attachments below {prefix}", task.group_name);
            return Err(Failure::new(Exit::NotFound, message)
                .with_hint("`mito files` lists the attachments of a group"));
        }
        let resources = keys.iter().map(|key| ResourceDownload {
            remote_file: RemoteFile::Attachment { key: in_task(key) },
            local_path: in_task(&format!("{local_path}{}", &key[prefix.len()..])),
        });
        task.task_spec.resources.extend(resources);
    }
    if task.task_spec.resources.len() > MAX_RESOURCES {
        return Err(Failure::new(Exit::Usage, format!("a task can fetch at most {MAX_RESOURCES} files"))
            .with_hint("pack the directory into one attachment, for example with `tar -czf`"));
    }
    Ok(())
}

async fn keys_below(prefix: &str, user: &UserClient, group: &str) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    for offset in (0..).step_by(1_000) {
        let query = QueryAttachmentsRequest {
            key: Some(prefix.to_owned()),
            limit: Some(PAGE),
            offset: Some(offset),
            count: false,
        };
        let page = retry_transient(|| user.query_attachments(group, &query)).await?.attachments;
        let is_last = (page.len() as u64) < PAGE;
        keys.extend(page.into_iter().map(|row| row.key).filter(|key| key.starts_with(prefix)));
        if is_last || keys.len() > MAX_RESOURCES {
            break;
        }
    }
    Ok(keys)
}
