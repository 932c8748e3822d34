//! Folders that belong to one process, and go with it: where it was killed, at the next start of another.
//!
//! The owner holds a lock on a file in the folder, which the system takes back however the owner ends. Folders without
//! such a file are never touched, nor those of other machines, whose locks may not be seen over a network.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;
use uuid::Uuid;

use crate::run::removal::remove_tree;

/// The file with the lock.
const NAME: &str = ".in-use";
/// How often another process may remove the folder in the moment between its making and its locking.
const TRIES: usize = 10;

/// A folder that this process uses, for as long as this is kept.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "the lock ends with it")] File);

impl Hold {
    /// Makes a folder that only this user can read, and takes it.
    ///
    /// # Errors
    /// When the folder can't be made or belongs to another process.
    pub fn take(folder: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let mut file = match open(folder, true) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            match file.try_lock() {
                // Where there are no locks, nothing is taken for left over either.
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

/// Removes folders under `base` whose owners are gone; the name of each is a UUID. What can't be removed stays.
pub fn sweep(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_none_or(|name| Uuid::parse_str(name).is_err()) {
            continue;
        }
        let folder = entry.path();
        match abandoned(&folder) {
            Ok(Some(_lock)) => match remove_tree(&folder) {
                Ok(()) => tracing::info!(folder = %folder.display(), "removed what a killed process left"),
                Err(error) => {
                    tracing::warn!(%error, folder = %folder.display(), "can't remove what a killed process left");
                }
            },
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, folder = %folder.display(), "can't tell whose it is"),
        }
    }
}

/// The lock of a folder whose owner was of this machine and is gone.
fn abandoned(folder: &Path) -> io::Result<Option<File>> {
    if !std::fs::symlink_metadata(folder)?.is_dir() {
        return Ok(None);
    }
    let file = match open(folder, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let is_ours = io::read_to_string(&file)? == machine();
    let is_abandoned = is_ours && file.try_lock().is_ok() && is_still_there(&file, folder);
    Ok(is_abandoned.then_some(file))
}

fn open(folder: &Path, create: bool) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    File::options()
        .read(true)
        .write(true)
        .create(create)
        .mode(0o600)
        .custom_flags(flags.bits())
        .open(folder.join(NAME))
}

/// Another process may have removed it meanwhile.
fn is_still_there(file: &File, folder: &Path) -> bool {
    let named = std::fs::symlink_metadata(folder.join(NAME));
    file.metadata()
        .is_ok_and(|open| named.is_ok_and(|named| (open.dev(), open.ino()) == (named.dev(), named.ino())))
}

/// Of which a lock can be seen.
fn machine() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_nowhere() {
        use std::os::unix::fs::symlink;

        let base = tempfile::tempdir().unwrap();
        let (target, link) = (base.path().join("target"), base.path().join(Uuid::from_u128(1).to_string()));
        drop(Hold::take(&target).unwrap());
        std::fs::write(target.join("kept"), "x").unwrap();
        symlink(&target, &link).unwrap();
        sweep(base.path());
        assert!(link.is_symlink() && target.join("kept").exists(), "a link is nobody's folder");

        let (file, folder) = (base.path().join("file"), base.path().join("folder"));
        std::fs::write(&file, "kept").unwrap();
        std::fs::create_dir(&folder).unwrap();
        symlink(&file, folder.join(NAME)).unwrap();
        assert!(Hold::take(&folder).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"kept");
    }

    #[test]
    fn only_folders_of_processes_that_are_gone_are_removed() {
        let base = tempfile::tempdir().unwrap();
        let folder = |number| base.path().join(Uuid::from_u128(number).to_string());
        let _held = Hold::take(&folder(1)).unwrap();
        assert!(Hold::take(&folder(1)).is_err(), "it is in use");
        drop(Hold::take(&folder(2)).unwrap());
        std::fs::write(folder(2).join("left"), "x").unwrap();
        // Of an older program, of another machine, and something else altogether.
        std::fs::create_dir(folder(3)).unwrap();
        drop(Hold::take(&folder(4)).unwrap());
        std::fs::write(folder(4).join(NAME), "elsewhere").unwrap();
        std::fs::create_dir(base.path().join("notes")).unwrap();
        drop(Hold::take(&base.path().join("notes")).unwrap());
        sweep(base.path());
        let left = |number| folder(number).exists();
        assert_eq!([left(1), left(2), left(3), left(4)], [true, false, true, true]);
        assert!(base.path().join("notes").exists());
        sweep(&base.path().join("missing"));
    }
}
