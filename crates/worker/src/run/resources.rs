//! Files that a task asks for (semantics §7.5).

use std::path::{Component, Path};
use std::time::Duration;

use mitosis_client::{ClientError, TransferError};
use mitosis_protocol::TaskResultMessage;
use mitosis_protocol::storage::DownloadReply;
use mitosis_protocol::task::{RemoteFile, ResourceDownload};

use super::{Attempt, Lost};
use crate::insist::{Waits, insist};

/// Limit on one file.
const FILE_LIMIT: Duration = Duration::from_secs(120);

/// `Err` inside is what the task's result says.
type Fetched = Result<Result<(), TaskResultMessage>, Lost>;

impl Attempt<'_> {
    pub(super) async fn fetch_resources(&self) -> Fetched {
        for resource in &self.task.spec.resources {
            let fetched = match tokio::time::timeout(FILE_LIMIT, self.fetch(resource)).await {
                Ok(fetched) => fetched?,
                Err(_) => Err(TaskResultMessage::FetchResourceTimeout),
            };
            if let Err(why) = fetched {
                tracing::warn!(file = resource.local_path, ?why, "a resource can't be fetched");
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    async fn fetch(&self, resource: &ResourceDownload) -> Fetched {
        let local = Path::new(&resource.local_path);
        if !stays_inside(local) {
            return Ok(Err(TaskResultMessage::ResourceForbidden));
        }
        let target = self.scratch.resource().join(local);
        if let Some(folder) = target.parent()
            && let Err(error) = tokio::fs::create_dir_all(folder).await
        {
            tracing::error!(%error, "a folder for a resource can't be made");
            return Ok(Err(TaskResultMessage::ResourceForbidden));
        }
        let mut waits = Waits::new(&*self.session.settings.entropy);
        loop {
            let link = match self.link(&resource.remote_file).await {
                Ok(link) => link,
                Err(error) => return refused(&error),
            };
            match self.session.client.download(&link.url, &target).await {
                Ok(_) => return Ok(Ok(())),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "a download broke off; trying again");
                    waits.pause().await;
                }
                Err(TransferError::Refused { status: 404, .. }) => {
                    return Ok(Err(TaskResultMessage::ResourceNotFound));
                }
                Err(error) => {
                    tracing::warn!(%error, "a download was refused");
                    return Ok(Err(TaskResultMessage::ResourceForbidden));
                }
            }
        }
    }

    async fn link(&self, file: &RemoteFile) -> Result<DownloadReply, ClientError> {
        let client = &self.session.client;
        insist(&*self.session.settings.entropy, "looking up a resource", || async move {
            match file {
                RemoteFile::Artifact { uuid, content_type } => {
                    client.artifact_link(*uuid, *content_type).await
                }
                RemoteFile::Attachment { key } => client.attachment_link(self.task.uuid, key).await,
            }
        })
        .await
    }
}

fn refused(error: &ClientError) -> Fetched {
    match error.status() {
        Some(401) => Err(Lost::Unknown),
        Some(404) => Ok(Err(TaskResultMessage::ResourceNotFound)),
        _ => Ok(Err(TaskResultMessage::ResourceForbidden)),
    }
}

/// The coordinator refuses other paths at submission; an old one may not.
fn stays_inside(path: &Path) -> bool {
    path.file_name().is_some()
        && path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_can_t_leave_the_resource_directory() {
        for (path, inside) in
            [("a/b", true), ("./a", true), ("/etc/passwd", false), ("a/../../b", false), ("", false)]
        {
            assert_eq!(stays_inside(Path::new(path)), inside, "{path}");
        }
    }
}
