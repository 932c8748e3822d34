//! A lock file beside the database, held while the process runs, so that one process uses it at a time.
//!
//! The operating system releases the lock when the process ends, so a crash leaves nothing to clean up. The
//! file itself stays: if it were removed, two processes could lock two different files of the same name.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// The lock of a database. Dropping it releases the lock.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Creates the file and its directory, readable for the owner only, unless they exist. Returns the canonical
/// path, so that all names of a file lead to the same lock.
pub(super) fn prepare(path: &Path) -> Result<PathBuf, StoreError> {
    create_file(path)
        .map_err(|source| StoreError::Address { address: path.display().to_string(), source: source.into() })
}

fn create_file(path: &Path) -> io::Result<PathBuf> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        // A file whose directory entry is lost in a power failure is lost with its contents.
        Ok(_) => File::open(directory)?.sync_all()?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    path.canonicalize()
}

/// Takes the lock, or fails with the process that holds it.
pub(super) fn take(database: &Path) -> Result<Lock, StoreError> {
    let unusable = |source: io::Error| StoreError::Address {
        address: database.display().to_string(),
        source: source.into(),
    };
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(PathBuf::from(name))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse {
                path: database.display().to_string(),
                owner: read_pid(&mut file),
            });
        }
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    write_pid(&mut file).map_err(unusable)?;
    Ok(Lock { _file: file })
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
