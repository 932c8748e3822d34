//! Locks directories that belong to one process, and removes those of processes that were killed.
//!
//! The owner holds a lock on a file in the directory. The system releases it at every kind of exit.
//! Directories without such a file are never removed, nor those of other machines, whose locks may not be
//! visible over a network.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;
use uuid::Uuid;

use crate::os::remove_tree::remove_tree;

/// The name of the lock file.
const NAME: &str = ".in-use";
/// How often another process may remove the directory between its creation and its locking.
const TRIES: usize = 10;

/// A locked directory, which this process uses while the lock exists.
#[derive(Debug)]
pub struct DirectoryLock(#[expect(dead_code, reason = "the lock ends with it")] File);

impl DirectoryLock {
    /// Creates a directory that only this user can read, and locks it.
    ///
    /// # Errors
    /// Fails if the directory can't be created or another process holds it.
    pub fn acquire(folder: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let mut file = match open(folder, Missing::Create) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            match file.try_lock() {
                // On a file system without locks, nothing counts as abandoned either.
                Ok(()) | Err(TryLockError::Error(_)) => {}
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
            }
            if is_still_there(&file, folder) {
                file.set_len(0)?;
                file.write_all(machine().as_bytes())?;
                return Ok(Self(file));
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }
}

/// Removes directories below `base` whose owners have exited. Only names that are UUIDs count. Directories that
/// can't be removed are left.
pub fn remove_abandoned(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_none_or(|name| Uuid::parse_str(name).is_err()) {
            continue;
        }
        let folder = entry.path();
        match abandoned(&folder) {
            Ok(Some(_lock)) => match remove_tree(&folder) {
                Ok(()) => {
                    tracing::info!(folder = %folder.display(), "removed the directory of a killed process");
                }
                Err(error) => {
                    tracing::warn!(%error, folder = %folder.display(), "failed to remove the directory of a killed process");
                }
            },
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, folder = %folder.display(), "failed to read the owner of a directory");
            }
        }
    }
}

/// Returns the lock of a directory whose owner ran on this machine and has exited.
fn abandoned(folder: &Path) -> io::Result<Option<File>> {
    if !std::fs::symlink_metadata(folder)?.is_dir() {
        return Ok(None);
    }
    let file = match open(folder, Missing::Fail) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let is_local = io::read_to_string(&file)? == machine();
    let is_abandoned = is_local && file.try_lock().is_ok() && is_still_there(&file, folder);
    Ok(is_abandoned.then_some(file))
}

/// What to do if there is no lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Create,
    Fail,
}

fn open(folder: &Path, missing: Missing) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    File::options()
        .read(true)
        .write(true)
        .create(missing == Missing::Create)
        .mode(0o600)
        .custom_flags(flags.bits())
        .open(folder.join(NAME))
}

/// Whether the lock file is still the one in the directory: another process may have removed it.
fn is_still_there(file: &File, folder: &Path) -> bool {
    let attempt_ref = std::fs::symlink_metadata(folder.join(NAME));
    file.metadata().is_ok_and(|open| {
        attempt_ref
            .is_ok_and(|attempt_ref| (open.dev(), open.ino()) == (attempt_ref.dev(), attempt_ref.ino()))
    })
}

/// The name of this machine, whose locks are visible.
fn machine() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_not_followed() {
        use std::os::unix::fs::symlink;

        let base = tempfile::tempdir().unwrap();
        let (target, link) = (base.path().join("target"), base.path().join(Uuid::from_u128(1).to_string()));
        drop(DirectoryLock::acquire(&target).unwrap());
        std::fs::write(target.join("kept"), "x").unwrap();
        symlink(&target, &link).unwrap();
        remove_abandoned(base.path());
        assert!(link.is_symlink() && target.join("kept").exists(), "a link has no owner");

        let (file, folder) = (base.path().join("file"), base.path().join("folder"));
        std::fs::write(&file, "kept").unwrap();
        std::fs::create_dir(&folder).unwrap();
        symlink(&file, folder.join(NAME)).unwrap();
        assert!(DirectoryLock::acquire(&folder).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"kept");
    }

    #[test]
    fn only_directories_of_gone_processes_are_removed() {
        let base = tempfile::tempdir().unwrap();
        let folder = |number| base.path().join(Uuid::from_u128(number).to_string());
        let _held = DirectoryLock::acquire(&folder(1)).unwrap();
        assert!(DirectoryLock::acquire(&folder(1)).is_err(), "it is in use");
        drop(DirectoryLock::acquire(&folder(2)).unwrap());
        std::fs::write(folder(2).join("left"), "x").unwrap();
        // Directories of an older version, of another machine, and of another kind.
        std::fs::create_dir(folder(3)).unwrap();
        drop(DirectoryLock::acquire(&folder(4)).unwrap());
        std::fs::write(folder(4).join(NAME), "elsewhere").unwrap();
        std::fs::create_dir(base.path().join("notes")).unwrap();
        drop(DirectoryLock::acquire(&base.path().join("notes")).unwrap());
        remove_abandoned(base.path());
        let left = |number| folder(number).exists();
        assert_eq!([left(1), left(2), left(3), left(4)], [true, false, true, true]);
        assert!(base.path().join("notes").exists());
        remove_abandoned(&base.path().join("missing"));
    }
}
