//! What is remembered of the files that were uploaded from here, so that they are not sent again.
//!
//! Only a shortcut: whatever is not remembered, or not for certain, is uploaded once more.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::job::Upload;
use super::kept::replace;
use crate::config::Environment;

/// More are not remembered.
const MOST: usize = 10_000;
/// A file that was changed so short a time ago can be changed again without another time.
const GRAIN: Duration = Duration::from_millis(50);

/// Which file it was, and which state of it. Whatever is written to a file changes this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Microseconds since 1970 of the last change of content or properties; can't be set by anybody.
    changed: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    stamp: Stamp,
    /// When the coordinator says that it was uploaded.
    updated_at: Timestamp,
}

/// What was sent to one coordinator.
#[derive(Debug)]
pub(super) struct Sent {
    path: PathBuf,
    address: String,
    /// By coordinator, group and key.
    notes: BTreeMap<String, Note>,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            changed: metadata.ctime() * 1_000_000 + metadata.ctime_nsec() / 1_000,
        }
    }

    fn has_settled(&self, now: Timestamp) -> bool {
        Timestamp::from_unix_micros(self.changed) < now - GRAIN
    }
}

impl Sent {
    pub(super) fn read(address: &str, environment: &Environment) -> Self {
        let path = environment.cache_folder().join("uploads.json");
        // Nothing, or nothing that can be read, only costs another upload.
        let notes =
            fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { path, address: address.to_owned(), notes }
    }

    fn key(&self, upload: &Upload) -> String {
        format!("{}\n{}\n{}", self.address, upload.group, upload.key)
    }

    /// Whether the coordinator has this very state of the file.
    pub(super) fn is_still_there(&self, upload: &Upload, stamp: &Stamp, updated_at: Timestamp) -> bool {
        self.notes
            .get(&self.key(upload))
            .is_some_and(|note| note.stamp == *stamp && note.updated_at == updated_at)
    }

    /// `stamp` was taken before the file was read.
    pub(super) fn note(&mut self, upload: &Upload, stamp: Stamp, updated_at: Option<Timestamp>) {
        let key = self.key(upload);
        match updated_at.filter(|_| stamp.has_settled(SystemClock.now())) {
            Some(updated_at) => {
                if self.notes.len() >= MOST {
                    self.notes.clear();
                }
                self.notes.insert(key, Note { stamp, updated_at });
            }
            None => {
                self.notes.remove(&key);
            }
        }
        let text = serde_json::to_vec(&self.notes).expect("notes are plain data");
        let folder = self.path.parent().expect("it is in the cache");
        let written = fs::create_dir_all(folder).and_then(|()| replace(&self.path, &text));
        if let Err(error) = written {
            tracing::warn!(%error, "what was uploaded can't be remembered, and will be uploaded again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_and_has_not_changed_on_either_side_is_still_there() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::from([("XDG_CACHE_HOME", folder.path().to_str().unwrap())]);
        let upload = Upload { file: "in.csv".into(), group: "lab".into(), key: "k".into() };
        let at = |second: i64| Timestamp::from_unix_micros(second * 1_000_000);
        let stamp = |changed| Stamp { device: 1, inode: 2, length: 3, changed };
        let mut sent = Sent::read("http://c", &environment);
        assert!(!sent.is_still_there(&upload, &stamp(5), at(9)));
        sent.note(&upload, stamp(5), Some(at(9)));
        let again = Sent::read("http://c", &environment);
        assert!(again.is_still_there(&upload, &stamp(5), at(9)));
        assert!(!again.is_still_there(&upload, &stamp(6), at(9)), "it was written to");
        assert!(!again.is_still_there(&upload, &stamp(5), at(10)), "it was replaced there");
        let other = Upload { group: "other".into(), ..upload.clone() };
        assert!(!again.is_still_there(&other, &stamp(5), at(9)));
        assert!(!Sent::read("http://d", &environment).is_still_there(&upload, &stamp(5), at(9)));

        let just_now = stamp(SystemClock.now().unix_micros());
        sent.note(&upload, just_now.clone(), Some(at(9)));
        assert!(!sent.is_still_there(&upload, &just_now, at(9)), "it could change within the same moment");
    }
}
