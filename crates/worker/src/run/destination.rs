//! Where the inputs of a task are written.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// The destination of a download. Processes of an earlier task may create links in the path; none is followed.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    folder: Arc<OwnedFd>,
    name: OsString,
    partial: OsString,
}

impl Destination {
    /// Creates the directories of a path that stays inside.
    pub(super) fn make(root: &Path, local: &Path) -> io::Result<Self> {
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
        Ok(Self { folder: Arc::new(folder), name, partial })
    }

    /// Creates a new file for the download.
    pub(super) fn create(&self) -> io::Result<File> {
        match unlinkat(self.folder.as_fd(), &*self.partial, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o666);
        Ok(openat(self.folder.as_fd(), &*self.partial, flags, mode)?.into())
    }

    /// Moves a file of the same file system to the destination.
    pub(super) fn take(&self, file: &Path) -> io::Result<()> {
        Ok(renameat(AT_FDCWD, file, self.folder.as_fd(), &*self.name)?)
    }

    /// Renames the complete download to its final name.
    pub(super) fn commit(&self) -> io::Result<()> {
        Ok(renameat(self.folder.as_fd(), &*self.partial, self.folder.as_fd(), &*self.name)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

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
