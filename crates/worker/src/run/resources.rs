//! Downloads the resources of a task (semantics §7.5).

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};
use std::time::Duration;

use mitosis_client::{ClientError, TransferError};
use mitosis_domain::content_key::Digest;
use mitosis_protocol::storage::DownloadReply;
use mitosis_protocol::task::{RemoteFile, ResourceDownload};
use mitosis_protocol::{ResultWarning, TaskResultMessage, WarningCode};

use super::destination::Destination;
use super::inputs::InputError;
use super::scratch::on_a_blocking_thread;
use super::{Attempt, AttemptError};
use crate::retry::{BackoffTimer, retry};

/// Time limit of one file.
const FILE_LIMIT: Duration = Duration::from_secs(120);

/// The inner `Err` is the message in the task's result.
type Fetched = Result<Result<(), TaskResultMessage>, AttemptError>;

impl Attempt<'_> {
    /// Downloads all files. The inner `Err` names the one that could not be downloaded.
    pub(super) async fn fetch_resources(
        &self,
    ) -> Result<Result<(), (TaskResultMessage, ResultWarning)>, AttemptError> {
        for resource in &self.task.spec.resources {
            let fetched = match tokio::time::timeout(FILE_LIMIT, self.fetch(resource)).await {
                Ok(fetched) => fetched?,
                Err(_) => Err(TaskResultMessage::FetchResourceTimeout),
            };
            if let Err(why) = fetched {
                tracing::warn!(file = resource.local_path, ?why, "failed to fetch a resource");
                return Ok(Err((why, unavailable(resource, why))));
            }
        }
        Ok(Ok(()))
    }

    /// Writes the files that the task brings.
    pub(super) async fn write_files(&self) -> io::Result<()> {
        if self.task.spec.files.is_empty() {
            return Ok(());
        }
        let (root, task) = (self.scratch.resource(), self.task.clone());
        on_a_blocking_thread(move || {
            task.spec.files.iter().try_for_each(|(path, text)| write_file(&root, Path::new(path), text))
        })
        .await
    }

    async fn fetch(&self, resource: &ResourceDownload) -> Fetched {
        let local = Path::new(&resource.local_path);
        if !stays_inside(local) {
            return Ok(Err(TaskResultMessage::ResourceForbidden));
        }
        let destination = match self.destination(local).await {
            Ok(destination) => destination,
            Err(error) => {
                tracing::error!(%error, "failed to create the directory of a resource");
                return Ok(Err(TaskResultMessage::ResourceForbidden));
            }
        };
        let expected = match &resource.remote_file {
            RemoteFile::Attachment { key } => Digest::of_key(key),
            RemoteFile::Artifact { .. } => None,
        };
        let mut backoff = BackoffTimer::new(&*self.context.settings.entropy);
        loop {
            let link = match self.link(&resource.remote_file).await {
                Ok(link) => link,
                Err(error) => return refused(&error),
            };
            let inputs = &self.context.inputs;
            let error = match inputs.provide(&self.context.client, &link.url, expected, &destination).await {
                Ok(()) => return Ok(Ok(())),
                Err(error) => error,
            };
            match &error {
                InputError::Transfer(transfer) if transfer.is_transient() => {
                    tracing::warn!(%error, "a download failed; continuing it");
                    backoff.pause().await;
                }
                InputError::Transfer(TransferError::Refused { status: 404, .. }) => {
                    return Ok(Err(TaskResultMessage::ResourceNotFound));
                }
                // Another attempt needs the space more than later tasks do.
                InputError::Transfer(TransferError::File { source, .. })
                    if source.kind() == io::ErrorKind::StorageFull && inputs.clear() => {}
                InputError::Transfer(_) | InputError::Damaged => {
                    tracing::warn!(%error, file = resource.local_path, "failed to download an input");
                    return Ok(Err(TaskResultMessage::ResourceForbidden));
                }
            }
        }
    }

    async fn destination(&self, local: &Path) -> io::Result<Destination> {
        let (root, local) = (self.scratch.resource(), local.to_owned());
        on_a_blocking_thread(move || Destination::make(&root, &local)).await
    }

    async fn link(&self, file: &RemoteFile) -> Result<DownloadReply, ClientError> {
        let client = &self.context.client;
        retry(&*self.context.settings.entropy, "looking up a resource", || async move {
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

/// The warning that names a file that could not be downloaded.
fn unavailable(resource: &ResourceDownload, why: TaskResultMessage) -> ResultWarning {
    let (artifact, file) = match &resource.remote_file {
        RemoteFile::Artifact { uuid, content_type } => {
            (Some(*content_type), format!("the artifact `{content_type}` of task {uuid}"))
        }
        RemoteFile::Attachment { key } => (None, format!("the attachment `{key}`")),
    };
    let problem = match why {
        TaskResultMessage::ResourceNotFound => "does not exist",
        TaskResultMessage::FetchResourceTimeout => "could not be downloaded in time",
        _ => "could not be downloaded",
    };
    let text = format!("{file}, for `{}`, {problem}", resource.local_path);
    ResultWarning::new(WarningCode::ResourceUnavailable, artifact, text)
}

/// Writes a file that only this user can read, execute and change.
fn write_file(root: &Path, local: &Path, text: &str) -> io::Result<()> {
    if !stays_inside(local) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let destination = Destination::make(root, local)?;
    let mut file = destination.create()?;
    file.set_permissions(Permissions::from_mode(0o700))?;
    file.write_all(text.as_bytes())?;
    destination.commit()
}

fn refused(error: &ClientError) -> Fetched {
    match error.status() {
        Some(401) => Err(AttemptError::WorkerUnknown),
        Some(404) => Ok(Err(TaskResultMessage::ResourceNotFound)),
        _ => Ok(Err(TaskResultMessage::ResourceForbidden)),
    }
}

/// Whether a path stays inside the resource directory. A native coordinator refuses other paths at submission;
/// a legacy one may not.
fn stays_inside(path: &Path) -> bool {
    path.file_name().is_some()
        && path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_stays_in_the_resource_directory() {
        for (path, inside) in
            [("a/b", true), ("./a", true), ("/etc/passwd", false), ("a/../../b", false), ("", false)]
        {
            assert_eq!(stays_inside(Path::new(path)), inside, "{path}");
        }
    }

    #[test]
    fn missing_artifact_is_named() {
        let uuid = uuid::Uuid::from_u128(7);
        let content_type = mitosis_protocol::ArtifactKind::Result;
        let remote_file = RemoteFile::Artifact { uuid, content_type };
        let resource = ResourceDownload { remote_file, local_path: "data/result.tar.gz".to_owned() };
        let warning = unavailable(&resource, TaskResultMessage::ResourceNotFound);
        assert_eq!(
            warning.text,
            format!("the artifact `result` of task {uuid}, for `data/result.tar.gz`, does not exist")
        );
    }
}
