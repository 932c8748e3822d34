//! The running instances of `mito dev` of this user, each a small file that its process holds locked.
//!
//! The file is in the runtime folder of the user, or in the state folder if there is none. The system releases the lock
//! at every kind of exit, so a file without a lock is left from a killed process, and is removed. A file that another
//! user could have written is never used: it could redirect commands and passwords.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mitosis_domain::entropy::Entropy;
use mitosis_protocol::Timestamp;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::Environment;
use crate::show::text::shell_word;

/// The name of a file begins with this word.
const PREFIX: &str = "dev-";
const ENDING: &str = ".json";
/// Permission bits that let others change a file.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// The largest file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// A running `mito dev`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// The address of its coordinator.
    pub(crate) address: String,
    /// Its data folder.
    pub(crate) data: PathBuf,
    /// The file with a token of its user.
    pub(crate) credentials: PathBuf,
    /// Its process id, on its machine.
    pub(crate) process: i32,
    /// When the process was started, in ticks since the machine was booted. It distinguishes the process from a later one with
    /// the same id.
    pub(crate) started_ticks: u64,
    pub(crate) started_at: Timestamp,
    pub(crate) version: String,
    /// The log, if it runs in the background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<PathBuf>,
    /// The name of the machine: home folders may be shared, and locks of other machines may not be visible.
    machine: String,
}

/// What a new [`Instance`] says about itself.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) address: String,
    pub(crate) data: PathBuf,
    pub(crate) credentials: PathBuf,
    pub(crate) started_at: Timestamp,
    pub(crate) log: Option<PathBuf>,
}

impl Instance {
    /// Describes this process.
    fn of_this_process(description: Description) -> io::Result<Self> {
        let process = nix::unistd::getpid().as_raw();
        let started_ticks = started_ticks(process)
            .ok_or_else(|| io::Error::other("the start time of this process is unknown"))?;
        let Description { address, data, credentials, started_at, log } = description;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self {
            address,
            data,
            credentials,
            process,
            started_ticks,
            started_at,
            version,
            log,
            machine: machine(),
        })
    }

    /// The shell command that makes other commands use this instance.
    pub(crate) fn connect_command(&self) -> String {
        connect_command(&self.address, &self.credentials)
    }

    /// Whether the process with its id is still this one.
    pub(crate) fn has_its_process(&self) -> bool {
        started_ticks(self.process) == Some(self.started_ticks)
    }
}

/// The shell command that sets the environment for a coordinator and a file of tokens.
pub(crate) fn connect_command(address: &str, credentials: &Path) -> String {
    let credentials = shell_word(&credentials.display().to_string());
    format!("export MITO_COORDINATOR_ADDR={address} MITO_CREDENTIAL_PATH={credentials}")
}

/// The file of an instance, which exists as long as this does.
#[derive(Debug)]
#[must_use = "the file is removed when this goes"]
pub(crate) struct Registration {
    path: PathBuf,
    #[expect(dead_code, reason = "the lock ends with it")]
    lock: File,
}

impl Registration {
    /// Writes the file of this process.
    pub(crate) fn create(
        description: Description,
        environment: &Environment,
        entropy: &dyn Entropy,
    ) -> io::Result<Self> {
        let instance = Instance::of_this_process(description)?;
        let no_folder = || io::Error::new(io::ErrorKind::NotFound, "there is no runtime or state folder");
        let folder = folders(environment).into_iter().next().ok_or_else(no_folder)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        if let Some(why) = distrust(&folder.symlink_metadata()?) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{} {why}", folder.display()),
            ));
        }
        let path = folder.join(format!("{PREFIX}{}{ENDING}", entropy.uuid()));
        // Readers see the file once it is complete and locked.
        let unfinished = path.with_extension("new");
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let written = file
            .try_lock()
            .map_err(io::Error::from)
            .and_then(|()| file.write_all(&serde_json::to_vec(&instance)?))
            .and_then(|()| fs::rename(&unfinished, &path));
        if let Err(error) = written {
            drop(fs::remove_file(&unfinished));
            return Err(error);
        }
        Ok(Self { path, lock: file })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A file that stays has no lock, so it is ignored.
        drop(fs::remove_file(&self.path));
    }
}

/// The instances of this user on this machine.
#[derive(Debug, Default)]
pub(crate) struct Instances {
    /// The oldest first.
    pub(crate) running: Vec<Instance>,
    /// Why files were not used.
    pub(crate) refused: Vec<String>,
}

impl Instances {
    /// Finds the running instances, and removes the files of others that have ended.
    pub(crate) fn find(environment: &Environment) -> Self {
        let mut found = Self::default();
        for folder in folders(environment) {
            found.read_folder(&folder);
        }
        found.running.sort_by_key(|instance| (instance.started_at, instance.process));
        found
    }

    /// The instance with a data folder.
    pub(crate) fn of_data(self, data: &Path) -> Option<Instance> {
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let wanted = canonical(data);
        self.running.into_iter().find(|instance| canonical(&instance.data) == wanted)
    }

    fn read_folder(&mut self, folder: &Path) {
        let Ok(about) = folder.symlink_metadata() else { return };
        if let Some(why) = distrust(&about) {
            self.refused.push(format!("ignoring {}: it {why}", folder.display()));
            return;
        }
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_instance =
                name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(ENDING));
            if !is_instance {
                continue;
            }
            match read(&entry.path()) {
                Ok(instance) => self.running.extend(instance),
                // It has just ended.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.refused.push(format!("ignoring {}: {error}", entry.path().display())),
            }
        }
    }
}

/// Reads the file of an instance. `None` if it has ended, or is of another machine.
fn read(path: &Path) -> io::Result<Option<Instance>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    if let Some(why) = distrust(&file.metadata()?) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("it {why}")));
    }
    let mut text = Vec::new();
    (&file).take(MAX_BYTES).read_to_end(&mut text)?;
    let instance: Instance = serde_json::from_slice(&text)?;
    if instance.machine != machine() {
        return Ok(None);
    }
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Ok(Some(instance)),
        Err(TryLockError::Error(error)) => Err(error),
        // Its process has ended. A new one has another file.
        Ok(()) => fs::remove_file(path).map(|()| None),
    }
}

/// Why a file or folder may have been written by another user.
fn distrust(about: &fs::Metadata) -> Option<String> {
    if about.uid() != nix::unistd::geteuid().as_raw() {
        return Some(format!("belongs to another user (uid {})", about.uid()));
    }
    if !about.is_dir() && !about.is_file() {
        return Some("is neither a file nor a folder".to_owned());
    }
    (about.mode() & WRITABLE_BY_OTHERS != 0)
        .then(|| format!("can be changed by others (mode {:o})", about.mode() & 0o777))
}

/// The folders that may have instances, the preferred one first. A process without a runtime folder, as in a cron job,
/// uses the state folder.
fn folders(environment: &Environment) -> Vec<PathBuf> {
    environment.runtime_folder().into_iter().chain(environment.state_folder()).collect()
}

/// The time at which a process was started, in ticks since the machine was booted. `None` if it does not exist.
fn started_ticks(process: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program is in parentheses, and may contain anything. The time is field 22 of all.
    let (_, after_name) = text.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

fn machine() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use mitosis_domain::entropy::OsEntropy;

    use super::*;

    fn environment(home: &tempfile::TempDir) -> Environment {
        Environment::from([("XDG_RUNTIME_DIR", home.path().to_str().unwrap())])
    }

    fn register(home: &tempfile::TempDir, address: &str) -> Registration {
        let description = Description {
            address: address.to_owned(),
            data: home.path().join(address),
            credentials: home.path().join("credentials"),
            started_at: Timestamp::UNIX_EPOCH,
            log: None,
        };
        Registration::create(description, &environment(home), &OsEntropy).unwrap()
    }

    fn addresses(home: &tempfile::TempDir) -> Vec<String> {
        Instances::find(&environment(home)).running.into_iter().map(|instance| instance.address).collect()
    }

    fn files(home: &tempfile::TempDir) -> Vec<PathBuf> {
        let entries = fs::read_dir(home.path().join("mitosis")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn instance_is_found_while_its_process_runs() {
        let home = tempfile::tempdir().unwrap();
        assert!(addresses(&home).is_empty());
        let (one, _two) = (register(&home, "one"), register(&home, "two"));
        let mode = fs::metadata(&files(&home)[0]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(addresses(&home).len(), 2);
        drop(one);
        assert_eq!(addresses(&home), ["two"]);
        let found = Instances::find(&environment(&home)).of_data(&home.path().join("two")).unwrap();
        assert!(found.has_its_process());
        assert!(!Instance { started_ticks: 1, ..found }.has_its_process());
    }

    #[test]
    fn file_of_a_killed_process_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let registration = register(&home, "one");
        let left = home.path().join("mitosis/dev-left.json");
        fs::copy(&files(&home)[0], &left).unwrap();
        // That of another machine, whose lock may not be visible, stays.
        let elsewhere = home.path().join("mitosis/dev-elsewhere.json");
        let text = fs::read_to_string(&left).unwrap().replace(&format!("{:?}", machine()), "\"elsewhere\"");
        fs::write(&elsewhere, text).unwrap();
        assert_eq!(addresses(&home), ["one"]);
        assert!(!left.exists() && elsewhere.exists());
        drop(registration);
        assert!(addresses(&home).is_empty());
    }

    #[test]
    fn file_that_others_can_change_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let _registration = register(&home, "one");
        let file = files(&home).remove(0);
        let refused = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            let found = Instances::find(&environment(&home));
            assert!(found.running.is_empty(), "{found:?}");
            found.refused.concat()
        };
        assert!(refused(&file, 0o620).contains("can be changed by others (mode 620)"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let folder = home.path().join("mitosis");
        assert!(refused(&folder, 0o777).contains("can be changed by others"));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(home.path().join("mitosis/dev-broken.json"), "{").unwrap();
        std::os::unix::fs::symlink(&file, home.path().join("mitosis/dev-link.json")).unwrap();
        let found = Instances::find(&environment(&home));
        assert_eq!((found.running.len(), found.refused.len()), (1, 2), "{found:?}");
    }

    #[test]
    fn folder_that_others_can_change_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("mitosis");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let description = Description {
            address: "one".to_owned(),
            data: PathBuf::new(),
            credentials: PathBuf::new(),
            started_at: Timestamp::UNIX_EPOCH,
            log: None,
        };
        let error = Registration::create(description, &environment(&home), &OsEntropy).unwrap_err();
        assert!(error.to_string().contains("can be changed by others"), "{error}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}
