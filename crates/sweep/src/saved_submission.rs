//! Saves an incomplete submission, so that it can be resumed.
//!
//! One file has the whole submission and is written once; a second one has the progress. Both can contain secrets of
//! commands, so only their owner can read them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mitosis_blueprint::Blueprint;
use serde::{Deserialize, Serialize};

use super::error::Error;

/// The content of a submission.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedSubmission {
    /// The id for the user and for idempotency keys.
    pub(super) id: String,
    /// The coordinator.
    pub(super) address: String,
    /// The user who submits the tasks.
    pub(super) user: String,
    #[serde(rename = "sweeps", alias = "blueprints")]
    pub(super) blueprints: Vec<Blueprint>,
}

/// The files of one submission.
#[derive(Debug)]
pub(super) struct SubmissionFile {
    folder: PathBuf,
    id: String,
}

impl SubmissionFile {
    /// The files in a cache directory.
    pub(super) fn new(id: &str, cache: &Path) -> Self {
        Self { folder: cache.join("submissions"), id: id.to_owned() }
    }

    fn submission(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.id))
    }

    fn progress(&self) -> PathBuf {
        self.folder.join(format!("{}.progress", self.id))
    }

    /// Loads the submission, if it is incomplete.
    pub(super) fn load(&self) -> Result<Option<SavedSubmission>, Error> {
        let path = self.submission();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| failed("read", &path, error))?,
        };
        serde_json::from_slice(&text).map(Some).map_err(|source| Error::Corrupt { path, source })
    }

    /// Saves the submission before its first request.
    pub(super) fn save(&self, submission: &SavedSubmission) -> Result<(), Error> {
        let text = serde_json::to_vec(submission).expect("a submission is plain data");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(|error| failed("create", &self.folder, error))?;
        let path = self.submission();
        refile(&path, &text).map_err(|error| failed("write", &path, error))
    }

    /// The number of tasks that the coordinator has confirmed.
    pub(super) fn submitted(&self) -> u64 {
        // Without a readable file, the first tasks are sent again, which is safe.
        let text = fs::read_to_string(self.progress()).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    pub(super) fn save_progress(&self, tasks: u64) -> Result<(), Error> {
        let path = self.progress();
        refile(&path, tasks.to_string().as_bytes()).map_err(|error| failed("write", &path, error))
    }

    /// Removes the files: the submission is complete, or had no effect.
    pub(super) fn remove(&self) {
        for path in [self.progress(), self.submission()] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::error!("cannot remove {}: {error}", path.display());
            }
        }
    }

    /// The ids of all incomplete submissions.
    pub(super) fn list(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| {
            entry.file_name().to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned)
        });
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    }
}

/// Replaces a file atomically.
pub(super) fn refile(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn submission_is_private_and_kept_until_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let file = SubmissionFile::new("night.1", folder.path());
        assert_eq!((file.load().unwrap(), file.submitted()), (None, 0));
        let saved = || SavedSubmission {
            id: "night.1".into(),
            address: "http://127.0.0.1:5000".into(),
            user: "ann".into(),
            blueprints: vec![],
        };
        file.save(&saved()).unwrap();
        file.save_progress(20_000).unwrap();
        assert_eq!((file.load().unwrap(), file.submitted()), (Some(saved()), 20_000));
        assert_eq!(SubmissionFile::new("other", folder.path()).list(), ["night.1"]);
        for path in [file.submission(), file.progress()] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        file.remove();
        assert_eq!((file.load().unwrap(), file.submitted()), (None, 0));
        assert!(file.list().is_empty());
    }

    /// A submission that an earlier version has saved.
    #[test]
    fn earlier_submission_is_read_and_written_alike() {
        let saved = concat!(
            r#"{"id":"night","address":"http://127.0.0.1:5000","user":"ann","sweeps":[{"task":{"#,
            r#""group_name":"ann","tags":["gpu"],"labels":["{x}"],"timeout":"1day","priority":3,"#,
            r#""task_spec":{"args":["run","{x}","{y}"],"envs":{},"resources":[],"terminal_output":true,"watch":null}},"#,
            r#""plan":{"factors":[{"columns":[{"name":"x","values":{"Words":["a","b"]}}]},"#,
            r#"{"columns":[{"name":"y","values":{"Numbers":{"first":8,"step":1,"count":3,"width":2}}}]}]}}]}"#
        );
        let folder = tempfile::tempdir().unwrap();
        let file = SubmissionFile::new("night", folder.path());
        for text in [saved.to_owned(), saved.replace("sweeps", "blueprints")] {
            fs::create_dir_all(&file.folder).unwrap();
            fs::write(file.submission(), text).unwrap();
            let submission = file.load().unwrap().unwrap();
            let task = submission.blueprints[0].expand().unwrap().task(5);
            assert_eq!(task.task_spec.args, ["run", "b", "10"]);
            file.save(&submission).unwrap();
            assert_eq!(fs::read_to_string(file.submission()).unwrap(), saved);
        }
    }
}
