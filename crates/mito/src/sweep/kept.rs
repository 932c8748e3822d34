//! What is remembered of a submission while it is under way: all that is needed to go on with it.
//!
//! One file with the whole submission, written once, and one beside it with how far it has come. Both can
//! hold what the command is given, so only their owner can read them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mitosis_domain::sweep::Blueprint;
use serde::{Deserialize, Serialize};

use crate::config::Environment;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// A submission as it was asked for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Names it, to its user and in its idempotency keys.
    pub(super) id: String,
    /// The coordinator.
    pub(super) address: String,
    /// Whose tasks they are.
    pub(super) user: String,
    pub(super) blueprints: Vec<Blueprint>,
}

/// The place of one submission in the folder of all.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    id: String,
}

impl Place {
    pub(super) fn of(id: &str, environment: &Environment) -> Self {
        Self { folder: environment.cache_folder().join("submissions"), id: id.to_owned() }
    }

    fn submission(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.id))
    }

    fn progress(&self) -> PathBuf {
        self.folder.join(format!("{}.progress", self.id))
    }

    /// The submission, if there is one under way.
    pub(super) fn find(&self) -> Result<Option<Kept>, Failure> {
        let path = self.submission();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| cant("read", &path, error))?,
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            Failure::new(Exit::Failure, format!("{} can't be understood: {error}", path.display()))
                .with_hint("it was written by another version of mito; remove it to give the submission up")
        })
    }

    /// Begins.
    pub(super) fn keep(&self, kept: &Kept) -> Result<(), Failure> {
        let text = serde_json::to_vec(kept).expect("a submission is plain data");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(|error| cant("make", &self.folder, error))?;
        let path = self.submission();
        replace(&path, &text).map_err(|error| cant("write", &path, error))
    }

    /// How many tasks the coordinator is known to have.
    pub(super) fn done(&self) -> u64 {
        // Nothing, or nothing that can be read, only costs sending the first ones again.
        let text = fs::read_to_string(self.progress()).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    pub(super) fn note_done(&self, tasks: u64) -> Result<(), Failure> {
        let path = self.progress();
        replace(&path, tasks.to_string().as_bytes()).map_err(|error| cant("write", &path, error))
    }

    /// It is over: there is nothing to go on with.
    pub(super) fn forget(&self) {
        for path in [self.progress(), self.submission()] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                note!("mito: can't remove {}: {error}", path.display());
            }
        }
    }

    /// What is under way, for somebody who looks for another.
    pub(super) fn others(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| {
            entry.file_name().to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned)
        });
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    }
}

/// All or nothing.
pub(super) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn cant(what: &str, path: &Path, error: io::Error) -> Failure {
    Failure::io(format!("can't {what} {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_submission_is_there_until_it_is_over_and_nobody_else_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::from([("XDG_CACHE_HOME", folder.path().to_str().unwrap())]);
        let place = Place::of("night.1", &environment);
        assert_eq!((place.find().unwrap(), place.done()), (None, 0));
        let kept = || Kept {
            id: "night.1".into(),
            address: "http://127.0.0.1:5000".into(),
            user: "ann".into(),
            blueprints: vec![],
        };
        place.keep(&kept()).unwrap();
        place.note_done(20_000).unwrap();
        assert_eq!((place.find().unwrap(), place.done()), (Some(kept()), 20_000));
        assert_eq!(Place::of("other", &environment).others(), ["night.1"]);
        for path in [place.submission(), place.progress()] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        place.forget();
        assert_eq!((place.find().unwrap(), place.done()), (None, 0));
        assert!(place.others().is_empty());
    }
}
