//! A cache of uploaded files, so that unchanged files are not uploaded again.
//!
//! An unknown or uncertain file is uploaded again.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_protocol::Timestamp;
use mitosis_sweep::Upload;
use serde::{Deserialize, Serialize};

use crate::config::Environment;
use crate::process::atomic_file;

/// The largest number of entries.
const MAX_ENTRIES: usize = 10_000;
/// The least age of a change: a more recent file can change again without a new time.
const CLOCK_GRAIN: Duration = Duration::from_millis(50);

/// The identity and the version of a file; any write changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// The time of the last change of content or metadata, in microseconds since 1970. Users can't set it.
    changed: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    stamp: Stamp,
    /// The upload time of the coordinator.
    updated_at: Timestamp,
}

/// The uploads to one coordinator.
#[derive(Debug)]
pub(super) struct UploadCache {
    path: PathBuf,
    address: String,
    /// Entries by coordinator, group and key.
    entries: BTreeMap<String, Entry>,
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
        Timestamp::from_unix_micros(self.changed) < now - CLOCK_GRAIN
    }
}

impl UploadCache {
    pub(super) fn read(address: &str, environment: &Environment) -> Self {
        let path = environment.cache_folder().join("uploads.json");
        // Without a readable cache, files are uploaded again.
        let entries =
            fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { path, address: address.to_owned(), entries }
    }

    fn key(&self, upload: &Upload) -> String {
        format!("{}\n{}\n{}", self.address, upload.group, upload.key)
    }

    /// Whether the coordinator has this version of the file.
    pub(super) fn is_current(&self, upload: &Upload, stamp: &Stamp, updated_at: Timestamp) -> bool {
        self.entries
            .get(&self.key(upload))
            .is_some_and(|entry| entry.stamp == *stamp && entry.updated_at == updated_at)
    }

    /// Records an upload; `stamp` was taken before the file was read.
    pub(super) fn record(&mut self, upload: &Upload, stamp: Stamp, updated_at: Option<Timestamp>) {
        let key = self.key(upload);
        match updated_at.filter(|_| stamp.has_settled(SystemClock.now())) {
            Some(updated_at) => {
                if self.entries.len() >= MAX_ENTRIES {
                    self.entries.clear();
                }
                self.entries.insert(key, Entry { stamp, updated_at });
            }
            None => {
                self.entries.remove(&key);
            }
        }
        let text = serde_json::to_vec(&self.entries).expect("entries are plain data");
        let folder = self.path.parent().expect("it is in the cache");
        let written =
            fs::create_dir_all(folder).and_then(|()| atomic_file::replace(&self.path, &text, 0o600));
        if let Err(error) = written {
            tracing::warn!(%error, "cannot record the upload; the file will be uploaded again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unchanged_uploads_are_current() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::from([("XDG_CACHE_HOME", folder.path().to_str().unwrap())]);
        let upload = Upload { file: "in.csv".into(), group: "lab".into(), key: "k".into() };
        let at = |second: i64| Timestamp::from_unix_micros(second * 1_000_000);
        let stamp = |changed| Stamp { device: 1, inode: 2, length: 3, changed };
        let mut cache = UploadCache::read("http://c", &environment);
        assert!(!cache.is_current(&upload, &stamp(5), at(9)));
        cache.record(&upload, stamp(5), Some(at(9)));
        let again = UploadCache::read("http://c", &environment);
        assert!(again.is_current(&upload, &stamp(5), at(9)));
        assert!(!again.is_current(&upload, &stamp(6), at(9)), "it was written to");
        assert!(!again.is_current(&upload, &stamp(5), at(10)), "it was replaced there");
        let other = Upload { group: "other".into(), ..upload.clone() };
        assert!(!again.is_current(&other, &stamp(5), at(9)));
        assert!(!UploadCache::read("http://d", &environment).is_current(&upload, &stamp(5), at(9)));

        let just_now = stamp(SystemClock.now().unix_micros());
        cache.record(&upload, just_now.clone(), Some(at(9)));
        assert!(!cache.is_current(&upload, &just_now, at(9)), "it could change within the same moment");
    }
}
