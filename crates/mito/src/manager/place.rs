//! Where a supervisor is found: a folder that only its user can enter.
//!
//! It is in the cache folder and not in `$XDG_RUNTIME_DIR`, because that one goes when the user logs out,
//! and workers are meant to stay. Its name has the machine's in it: homes are often shared among machines.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{geteuid, gethostname};

use crate::config::Environment;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// The permissions of everybody but the owner.
const OTHERS: u32 = 0o077;

/// The folder of a user's supervisor on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Place(PathBuf);

/// Whoever has it is the supervisor.
#[derive(Debug)]
#[must_use = "there is no second supervisor while this is held"]
pub(crate) struct Office(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

impl Place {
    pub(crate) fn of(environment: &Environment) -> Self {
        let machine = gethostname().unwrap_or_default();
        Self(environment.cache_folder().join("manager").join(machine))
    }

    /// Makes the folder, and makes sure that it is nobody else's.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        let about = |error| Failure::io(format!("can't use the folder {}", self.0.display()), error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(about)?;
        let found = fs::symlink_metadata(&self.0).map_err(about)?;
        let is_private = found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & OTHERS == 0;
        is_private.then_some(()).ok_or_else(|| {
            Failure::new(
                Exit::Failure,
                format!("others can get into {}, where the manager is reached", self.0.display()),
            )
            .with_hint(format!("take it for yourself: chmod 700 {}", self.0.display()))
        })
    }

    /// Takes the office, unless somebody has it.
    pub(crate) fn take_office(&self) -> io::Result<Option<Office>> {
        let file = private().write(true).create(true).truncate(false).open(self.0.join("lock"))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Some(Office(held))),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }

    /// What the supervisor says of itself.
    pub(crate) fn own_log(&self) -> PathBuf {
        self.0.join("manager.log")
    }

    /// What a worker says of itself.
    pub(crate) fn log(&self, number: u32) -> PathBuf {
        self.0.join(format!("worker-{number}.log"))
    }

    /// The numbers of all workers that have said something, in order.
    pub(crate) fn logged(&self) -> io::Result<Vec<u32>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            numbers.extend(number(Path::new(&entry?.file_name())));
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

fn number(file: &Path) -> Option<u32> {
    file.to_str()?.strip_prefix("worker-")?.strip_suffix(".log")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn place(home: &Path) -> Place {
        Place::of(&Environment::from([("XDG_CACHE_HOME", home.to_str().unwrap())]))
    }

    #[test]
    fn a_folder_that_others_can_enter_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        place.prepare().unwrap();
        place.prepare().unwrap();
        fs::set_permissions(&place.0, fs::Permissions::from_mode(0o710)).unwrap();
        assert!(place.prepare().unwrap_err().to_string().contains("hint: take it for yourself"));
    }

    #[test]
    fn there_is_one_office() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        place.prepare().unwrap();
        let office = place.take_office().unwrap();
        assert!(office.is_some() && place.take_office().unwrap().is_none());
        drop(office);
        assert!(place.take_office().unwrap().is_some());
    }

    #[test]
    fn logs_of_workers_are_known_by_their_numbers() {
        assert_eq!(number(Path::new("worker-12.log")), Some(12));
        for other in ["worker-12.log.old", "manager.log", "worker-x.log", "lock"] {
            assert_eq!(number(Path::new(other)), None, "{other}");
        }
    }
}
