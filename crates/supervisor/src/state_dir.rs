//! The directory of a supervisor: socket, lock and logs. Only its owner can enter it.
//!
//! It is in the cache directory and not in `$XDG_RUNTIME_DIR`, which is removed when the user logs out, while workers
//! continue. Its name includes the host name: home directories are often shared between machines.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{geteuid, gethostname};

use super::error::SupervisorError;

/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// The directory of a user's supervisor on this machine.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

/// Held by the running supervisor.
#[derive(Debug)]
#[must_use = "a second supervisor can start once this is dropped"]
pub struct LockFile(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

impl StateDir {
    /// The directory below a cache directory such as `~/.cache/mitosis`.
    pub fn new(cache: &Path) -> Self {
        let host = gethostname().unwrap_or_default();
        Self(cache.join("manager").join(host))
    }

    /// Creates the directory, and checks that no other user can enter it.
    pub fn prepare(&self) -> Result<(), SupervisorError> {
        let failed = |error| SupervisorError::io(format!("cannot use {}", self.0.display()), error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        let found = fs::symlink_metadata(&self.0).map_err(failed)?;
        let is_private = found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & OTHERS == 0;
        is_private.then_some(()).ok_or_else(|| SupervisorError::NotPrivate(self.0.clone()))
    }

    /// Takes the lock. `None` if another supervisor holds it.
    pub fn lock(&self) -> io::Result<Option<LockFile>> {
        let file = private().write(true).create(true).truncate(false).open(self.0.join("lock"))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Some(LockFile(held))),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }

    /// Log file of the supervisor.
    pub fn supervisor_log(&self) -> PathBuf {
        self.0.join("manager.log")
    }

    /// Log file of a worker.
    pub fn worker_log(&self, number: u32) -> PathBuf {
        self.0.join(format!("worker-{number}.log"))
    }

    /// Numbers of all workers that have a log, in order.
    pub fn logged_workers(&self) -> io::Result<Vec<u32>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            numbers.extend(worker_number(Path::new(&entry?.file_name())));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// Options to open a file that only its owner can read.
pub(crate) fn private() -> fs::OpenOptions {
    let mut options = File::options();
    options.mode(0o600);
    options
}

fn worker_number(file: &Path) -> Option<u32> {
    file.to_str()?.strip_prefix("worker-")?.strip_suffix(".log")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn directory_that_others_can_enter_is_refused() {
        let cache = tempfile::tempdir().expect("a temporary directory");
        let dir = StateDir::new(cache.path());
        dir.prepare().expect("a new directory");
        dir.prepare().expect("the same directory");
        fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o710)).expect("permissions");
        let error = dir.prepare().expect_err("others can enter");
        assert!(error.hint().is_some_and(|hint| hint.contains("chmod 700")), "{error}");
    }

    #[test]
    fn only_one_supervisor_holds_the_lock() {
        let cache = tempfile::tempdir().expect("a temporary directory");
        let dir = StateDir::new(cache.path());
        dir.prepare().expect("a new directory");
        let lock = dir.lock().expect("a lock");
        assert!(lock.is_some() && dir.lock().expect("a lock").is_none());
        drop(lock);
        assert!(dir.lock().expect("a lock").is_some());
    }

    #[test]
    fn worker_logs_are_recognised_by_their_numbers() {
        assert_eq!(worker_number(Path::new("worker-12.log")), Some(12));
        for other in ["worker-12.log.old", "manager.log", "worker-x.log", "lock"] {
            assert_eq!(worker_number(Path::new(other)), None, "{other}");
        }
    }
}
