//! The folders of the objects, created and removed with them.
//!
//! A put creates the folders that it needs, and a removal deletes empty ones. A lock keeps a removal from
//! deleting a folder that a put is about to use. It is a file lock on the root of the store, so it also works
//! between processes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::temporary::Temporary;
use crate::{FileOperation, ObjectError};

/// The folders below a root. Moving a file into a folder takes a shared lock on the root; removing folders
/// takes an exclusive lock.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    root: PathBuf,
    sync: Sync,
}

/// A function that flushes a file, or the entries of a folder, to the disk.
pub(super) type Sync = fn(&File) -> io::Result<()>;

impl Folders {
    pub(super) const fn new(root: PathBuf) -> Self {
        Self { root, sync: File::sync_all }
    }

    /// Creates folders on a disk that a test simulates.
    #[cfg(test)]
    pub(super) fn with_disk(self, sync: Sync) -> Self {
        Self { sync, ..self }
    }

    /// Flushes the bytes of a file to the disk.
    pub(super) fn save_file(&self, temporary: &Temporary) -> Result<(), ObjectError> {
        temporary.sync(self.sync)
    }

    /// Flushes the entries of a folder to the disk. A folder that is gone has none.
    pub(super) fn save(&self, folder: &Path) -> Result<(), ObjectError> {
        match File::open(folder).and_then(|folder| (self.sync)(&folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ObjectError::directory(FileOperation::Sync, folder)(error))
            }
            _ => Ok(()),
        }
    }

    /// Renames `file` to `place`, and replaces the file there.
    pub(super) fn move_into_place(&self, file: &Path, place: &Path) -> Result<(), ObjectError> {
        let _until_return = self.lock(File::lock_shared)?;
        let folder = place.parent().expect("an object lies in a folder");
        create(folder).map_err(ObjectError::directory(FileOperation::Create, folder))?;
        fs::rename(file, place).map_err(ObjectError::directory(FileOperation::Rename, place))
    }

    /// Removes `folder` and its parents below `class`, as far as they are empty. An empty folder is harmless,
    /// so any error is ignored.
    pub(super) fn remove_empty(&self, folder: &Path, class: &Path) -> Result<(), ObjectError> {
        let _until_return = self.lock(File::lock)?;
        let below = |folder: &&Path| *folder != class && folder.starts_with(class);
        for folder in folder.ancestors().take_while(below) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Waits for the lock, which is released when the file is closed.
    fn lock(&self, how: fn(&File) -> io::Result<()>) -> Result<File, ObjectError> {
        let locked = File::open(&self.root).and_then(|root| how(&root).map(|()| root));
        locked.map_err(ObjectError::directory(FileOperation::Lock, &self.root))
    }
}

/// Creates a folder and its parents, inaccessible to other users.
pub(super) fn create(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_moved_into_a_folder_under_removal() {
        let root = tempfile::tempdir().unwrap();
        let (folders, folder) = (Folders::new(root.path().to_owned()), root.path().join("a/b/c"));
        let come_and_go = |name: &str| {
            let (file, place) = (root.path().join(name), folder.join(name));
            for _ in 0..1_000 {
                File::create(&file).unwrap();
                folders.move_into_place(&file, &place).unwrap();
                fs::remove_file(&place).unwrap();
                folders.remove_empty(&folder, root.path()).unwrap();
            }
        };
        std::thread::scope(|scope| {
            for name in ["one", "two", "three"] {
                scope.spawn(move || come_and_go(name));
            }
        });
        assert!(!root.path().join("a").exists());
    }
}
