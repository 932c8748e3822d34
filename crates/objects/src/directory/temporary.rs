//! Temporary files for incomplete bodies.
//!
//! Each is locked by the process that writes it. A process that dies loses its locks, so an unlocked file is
//! abandoned, whichever processes are running.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::folders::Sync;
use crate::{FileOperation, ObjectError};

/// A file without a final name. It is removed when it is dropped before it has one.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Temporary {
    /// Creates and locks an empty file, readable by its owner only.
    pub(super) fn create(folder: &Path, name: Uuid) -> Result<Self, ObjectError> {
        let path = folder.join(name.to_string());
        loop {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(ObjectError::directory(FileOperation::Create, &path))?;
            file.lock().map_err(ObjectError::directory(FileOperation::Lock, &path))?;
            // Before it was locked, another process may have removed it as abandoned.
            if fs::exists(&path).map_err(ObjectError::directory(FileOperation::Open, &path))? {
                return Ok(Self { path, file, kept: false });
            }
        }
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a second handle on the same open file.
    pub(super) fn handle(&self) -> Result<File, ObjectError> {
        self.file.try_clone().map_err(ObjectError::directory(FileOperation::Open, &self.path))
    }

    /// Flushes the bytes to the disk.
    pub(super) fn sync(&self, sync: Sync) -> Result<(), ObjectError> {
        sync(&self.file).map_err(ObjectError::directory(FileOperation::Sync, &self.path))
    }

    /// Writes one byte and removes the file.
    pub(super) fn prove_writable(mut self) -> Result<(), ObjectError> {
        self.file.write_all(b"\n").map_err(ObjectError::directory(FileOperation::Write, &self.path))
    }

    /// Marks the file as renamed to its final name.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // A file that can't be removed now is unlocked, and the next start removes it.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "could not remove an unfinished upload");
        }
    }
}

/// Removes the files that no running process is writing. Returns their number.
pub(super) fn remove_abandoned(folder: &Path) -> Result<usize, ObjectError> {
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(ObjectError::directory(FileOperation::List, folder))? {
        let path = entry.map_err(ObjectError::directory(FileOperation::List, folder))?.path();
        // It stays locked until it is removed.
        let abandoned = lock_abandoned(&path).map_err(ObjectError::directory(FileOperation::Open, &path))?;
        if abandoned.is_some() {
            match fs::remove_file(&path) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(ObjectError::directory(FileOperation::Remove, path)(error)),
            }
        }
    }
    Ok(removed)
}

/// Locks a file that no process is writing; none if one is.
fn lock_abandoned(path: &Path) -> io::Result<Option<File>> {
    let file = match File::open(path) {
        Ok(file) => file,
        // Its writer has just finished.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}
