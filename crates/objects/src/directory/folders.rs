//! Folders come and go with the objects in them.
//!
//! A put creates the folders that it needs and a removal takes empty ones away. A lock keeps the one
//! from undoing what the other is about to use. It is a lock on the store's root in the file system,
//! so that it holds between processes too.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::temporary::Temporary;
use crate::ObjectError;

/// The folders below a root. Whoever moves a file into one shares the lock on the root; whoever
/// removes some holds it alone.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    root: PathBuf,
    sync: Sync,
}

/// Waits until a file, or the names in a folder, are on the disk.
pub(super) type Sync = fn(&File) -> io::Result<()>;

impl Folders {
    pub(super) const fn new(root: PathBuf) -> Self {
        Self { root, sync: File::sync_all }
    }

    /// On a disk that behaves as a test wants it to.
    #[cfg(test)]
    pub(super) fn with_disk(self, sync: Sync) -> Self {
        Self { sync, ..self }
    }

    /// Waits until the bytes of a file are on the disk.
    pub(super) fn save_file(&self, temporary: &Temporary) -> Result<(), ObjectError> {
        temporary.sync(self.sync)
    }

    /// Waits until the names in a folder are on the disk. A folder that is gone holds none.
    pub(super) fn save(&self, folder: &Path) -> Result<(), ObjectError> {
        match File::open(folder).and_then(|folder| (self.sync)(&folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ObjectError::directory("save", folder)(error))
            }
            _ => Ok(()),
        }
    }

    /// Gives `file` the name `place`, which replaces what was there.
    pub(super) fn move_into_place(&self, file: &Path, place: &Path) -> Result<(), ObjectError> {
        let _until_return = self.lock(File::lock_shared)?;
        let folder = place.parent().expect("an object lies in a folder");
        create(folder).map_err(ObjectError::directory("create", folder))?;
        fs::rename(file, place).map_err(ObjectError::directory("move a file to", place))
    }

    /// Removes `folder` and those above it, below `shelf`, as far as they are empty. An empty folder
    /// costs nothing but order, so whatever keeps one in place may keep it.
    pub(super) fn remove_empty(&self, folder: &Path, shelf: &Path) -> Result<(), ObjectError> {
        let _until_return = self.lock(File::lock)?;
        let below = |folder: &&Path| *folder != shelf && folder.starts_with(shelf);
        for folder in folder.ancestors().take_while(below) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Waits for the lock, which ends when the file is closed.
    fn lock(&self, how: fn(&File) -> io::Result<()>) -> Result<File, ObjectError> {
        let locked = File::open(&self.root).and_then(|root| how(&root).map(|()| root));
        locked.map_err(ObjectError::directory("lock", &self.root))
    }
}

/// Creates a folder and those above it, closed to other users.
pub(super) fn create(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_its_place_while_removals_keep_taking_the_folder_away() {
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
