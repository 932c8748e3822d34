//! Downloads the resources of a task (semantics §7.5).

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};
use std::time::Duration;

use mitosis_client::{ClientError, FileOperation, TransferError};
use mitosis_protocol::storage::DownloadReply;
use mitosis_protocol::task::{RemoteFile, ResourceDownload};
use mitosis_protocol::{ResultWarning, TaskResultMessage, WarningCode};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

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
        let mut backoff = BackoffTimer::new(&*self.context.settings.entropy);
        loop {
            let link = match self.link(&resource.remote_file).await {
                Ok(link) => link,
                Err(error) => return refused(&error),
            };
            match self.download(&link.url, &destination, local).await {
                Ok(()) => return Ok(Ok(())),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "a download failed; retrying");
                    backoff.pause().await;
                }
                Err(TransferError::Refused { status: 404, .. }) => {
                    return Ok(Err(TaskResultMessage::ResourceNotFound));
                }
                Err(error) => {
                    tracing::warn!(%error, "the object store refused a download");
                    return Ok(Err(TaskResultMessage::ResourceForbidden));
                }
            }
        }
    }

    async fn destination(&self, local: &Path) -> io::Result<Destination> {
        let (root, local) = (self.scratch.resource(), local.to_owned());
        on_a_blocking_thread(move || Destination::make(&root, &local)).await
    }

    async fn download(
        &self,
        url: &str,
        destination: &Destination,
        local: &Path,
    ) -> Result<(), TransferError> {
        let not_writable =
            |source| TransferError::File { path: local.to_owned(), operation: FileOperation::Write, source };
        let partial = destination.create().map_err(not_writable)?;
        self.context.client.download(url, partial, local).await?;
        destination.commit().map_err(not_writable)
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

/// The destination of a download. Processes of an earlier task may create links in the path; none is followed.
struct Destination {
    folder: OwnedFd,
    name: std::ffi::OsString,
    partial: std::ffi::OsString,
}

impl Destination {
    /// Creates the directories of a path that stays inside.
    fn make(root: &Path, local: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut folder = open(root, flags, Mode::empty())?;
        let mut parts: Vec<&OsStr> = local
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        let name = parts.pop().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        for part in parts {
            match mkdirat(&folder, part, Mode::all()) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder = openat(&folder, part, flags, Mode::empty())?;
        }
        let mut partial = name.clone();
        partial.push(".part");
        Ok(Self { folder, name, partial })
    }

    /// Creates a new file for the download.
    fn create(&self) -> io::Result<File> {
        match unlinkat(self.folder.as_fd(), &*self.partial, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o666);
        Ok(openat(self.folder.as_fd(), &*self.partial, flags, mode)?.into())
    }

    /// Renames the complete download to its final name.
    fn commit(&self) -> io::Result<()> {
        Ok(renameat(self.folder.as_fd(), &*self.partial, self.folder.as_fd(), &*self.name)?)
    }
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

    #[test]
    fn links_in_the_path_of_a_resource_are_not_followed() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join("data")).unwrap();
        assert!(Destination::make(root.path(), Path::new("data/in.csv")).is_err());
        let destination = Destination::make(root.path(), Path::new("./more/deep/in.csv")).unwrap();
        let aim = elsewhere.path().join("aim");
        std::os::unix::fs::symlink(&aim, root.path().join("more/deep/in.csv.part")).unwrap();
        std::os::unix::fs::symlink(&aim, root.path().join("more/deep/in.csv")).unwrap();
        destination.create().unwrap().write_all(b"content").unwrap();
        destination.commit().unwrap();
        assert!(!aim.exists());
        let file = root.path().join("more/deep/in.csv");
        assert!(file.symlink_metadata().unwrap().is_file());
        assert_eq!(std::fs::read(file).unwrap(), b"content");
    }
}
