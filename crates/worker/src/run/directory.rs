//! Finds the directory in which a command starts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mitosis_protocol::task::TaskDirectory;
use mitosis_protocol::{ResultWarning, WarningCode};
use nix::unistd::{AccessFlags, access};
use tokio::time::timeout;

use super::Attempt;
use super::scratch::on_a_blocking_thread;

/// Time limit of the check: a network file system without its server may not answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a directory can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unusable {
    Missing,
    NotADirectory,
    Denied,
    /// Another task may use it at the same time, and it is emptied without notice.
    Scratch,
    Forbidden,
    TimedOut,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "it does not exist there",
            Self::NotADirectory => "it is not a directory there",
            Self::Denied => "the account of the worker may not enter it",
            Self::Scratch => "it belongs to the scratch space of the worker",
            Self::Forbidden => "the worker runs tasks in fresh directories only",
            Self::TimedOut => "its file system does not respond",
        })
    }
}

impl Attempt<'_> {
    /// The directory in which the command starts; none for that of the worker. If the task requires a directory that
    /// can't be used, the error says why.
    pub(super) async fn directory(&self) -> Result<Option<PathBuf>, ResultWarning> {
        let (path, is_required) = match &self.task.spec.directory {
            None => return Ok(None),
            Some(TaskDirectory::Fresh) => return Ok(Some(self.scratch.resource())),
            Some(TaskDirectory::Prefer(path)) => (path, false),
            Some(TaskDirectory::Require(path)) => (path, true),
        };
        match self.usable(PathBuf::from(path)).await {
            Ok(path) => Ok(Some(path)),
            Err(why) if is_required => {
                let text = format!("the worker can't use the directory {path}: {why}");
                tracing::info!("{text}");
                Err(ResultWarning::new(WarningCode::DirectoryUnavailable, None, text))
            }
            Err(why) => {
                tracing::debug!(%why, path, "the preferred directory can't be used; starting in a fresh one");
                Ok(Some(self.scratch.resource()))
            }
        }
    }

    async fn usable(&self, path: PathBuf) -> Result<PathBuf, Unusable> {
        let settings = &self.context.settings;
        if settings.fresh_directories_only {
            return Err(Unusable::Forbidden);
        }
        let scratch = settings.scratch.clone();
        let check = on_a_blocking_thread(move || check(&path, &scratch).map(|()| path));
        timeout(CHECK_TIMEOUT, check).await.unwrap_or(Err(Unusable::TimedOut))
    }
}

/// Checks that this process may enter a directory that is not part of the scratch space.
fn check(path: &Path, scratch: &Path) -> Result<(), Unusable> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Err(Unusable::Denied),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(Unusable::NotADirectory);
        }
        Err(_) => return Err(Unusable::Missing),
    };
    if !real.is_dir() {
        return Err(Unusable::NotADirectory);
    }
    if scratch.canonicalize().is_ok_and(|scratch| real.starts_with(scratch)) {
        return Err(Unusable::Scratch);
    }
    access(&real, AccessFlags::X_OK).map_err(|_| Unusable::Denied)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn directory_is_checked_before_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let scratch = at("scratch");
        for name in ["scratch", "scratch/0", "work", "locked", "locked/inside"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("file"), "").unwrap();
        symlink(at("work"), at("link")).unwrap();
        symlink(at("scratch/0"), at("into-scratch")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        for (name, expected) in [
            ("work", Ok(())),
            ("link", Ok(())),
            ("missing", Err(Unusable::Missing)),
            ("dangling", Err(Unusable::Missing)),
            ("file", Err(Unusable::NotADirectory)),
            ("file/below", Err(Unusable::NotADirectory)),
            ("scratch/0", Err(Unusable::Scratch)),
            ("into-scratch", Err(Unusable::Scratch)),
        ] {
            assert_eq!(check(&at(name), &scratch), expected, "{name}");
        }
        std::fs::set_permissions(at("locked"), std::fs::Permissions::from_mode(0o600)).unwrap();
        // Root may enter any directory.
        if !nix::unistd::geteuid().is_root() {
            assert_eq!(check(&at("locked"), &scratch), Err(Unusable::Denied));
            assert_eq!(check(&at("locked/inside"), &scratch), Err(Unusable::Denied));
        }
        std::fs::set_permissions(at("locked"), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
}
