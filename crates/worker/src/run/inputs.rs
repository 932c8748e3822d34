//! Downloads the inputs of tasks, each once as long as it is in the cache of the worker.
//!
//! The object store names the version of an object. A task whose input is in the cache asks whether the version is still
//! the present one, and then gets a copy: on file systems that can share blocks, a copy takes no space. It is never a link to
//! the file of the cache, because a task may change its copy. An interrupted download is continued where it ended, also for
//! another task.
//!
//! Commands run as the user of the worker and could change the cache itself. Such a change shows in the change time of the file,
//! which users can't set; the file is then downloaded again.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use mitosis_client::{Download, FileOperation, Known, TransferError, WorkerClient};
use mitosis_domain::content_key::Digest;
use tokio::io::{AsyncSeekExt as _, SeekFrom};
use tokio::sync::Mutex as AsyncMutex;

use super::destination::Destination;
use super::scratch::on_a_blocking_thread;

/// How many objects are remembered.
const MAX_OBJECTS: usize = 10_000;

/// Why an input is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    /// The transfer failed.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// The content is not the one that the key names.
    #[error("the content does not match its checksum")]
    Damaged,
}

/// Inputs that tasks of a worker share. A lock of the index is only held for moments.
pub(crate) struct Inputs {
    folder: PathBuf,
    /// How many bytes are kept.
    limit: u64,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    objects: HashMap<String, Arc<AsyncMutex<Object>>>,
    contents: HashMap<Digest, Content>,
    used: u64,
    /// Counts uses and files.
    count: u64,
}

/// What is known of an object.
#[derive(Default)]
struct Object {
    whole: Option<Whole>,
    start: Option<Start>,
}

/// A version whose content was received.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Whole {
    version: String,
    digest: Digest,
}

/// A download that has not ended.
struct Start {
    version: Option<String>,
    file: PathBuf,
    received: u64,
    context: Context,
}

/// A file of the cache.
#[derive(Debug)]
struct Content {
    file: PathBuf,
    stamp: Stamp,
    last_use: u64,
}

/// Identifies the state of a file; any change of its content changes it.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Inputs {
    /// Keeps up to `limit` bytes in a directory, which is created when it is needed.
    pub(crate) fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit, index: Mutex::default() }
    }

    /// Puts the object of a link to its destination. `expected` is the digest of its content, if that is known.
    pub(super) async fn provide(
        &self,
        client: &WorkerClient,
        url: &str,
        expected: Option<Digest>,
        destination: &Destination,
    ) -> Result<(), InputError> {
        let object = self.object(url);
        loop {
            let mut locked = object.lock().await;
            let Some(whole) = locked.whole.clone() else {
                let known = match &locked.start {
                    Some(Start { version: Some(version), received, .. }) if *received > 0 => {
                        Known::Start(version, *received)
                    }
                    _ => Known::Nothing,
                };
                let download = client.open_download(url, known).await?.expect("no whole version was named");
                return self.download(download, expected, &mut locked, destination).await;
            };
            let is_wanted = expected.is_none_or(|expected| expected == whole.digest);
            // Opened before the request: from now on, it can't be removed.
            let Some(cached) = self.index().open(&whole.digest).filter(|_| is_wanted) else {
                locked.whole = None;
                continue;
            };
            // Other tasks need not wait for this request.
            drop(locked);
            let Some(download) = client.open_download(url, Known::All(&whole.version)).await? else {
                return copy(cached, destination).await;
            };
            let mut locked = object.lock().await;
            locked.whole = locked.whole.take().filter(|other| *other != whole);
            return self.download(download, expected, &mut locked, destination).await;
        }
    }

    /// Removes all files of the cache. Returns whether there were any.
    pub(super) fn clear(&self) -> bool {
        let mut index = self.index();
        let had_files = !index.contents.is_empty();
        index.make_room(0);
        had_files
    }

    /// Receives an object, or the rest of it.
    async fn download(
        &self,
        download: Download,
        expected: Option<Digest>,
        object: &mut Object,
        destination: &Destination,
    ) -> Result<(), InputError> {
        let (offset, version) = (download.offset(), download.version());
        let is_kept = version.is_some()
            && download.length().is_some_and(|length| offset.saturating_add(length) <= self.limit);
        if offset == 0 {
            self.begin(object, version)?;
        }
        if let Some(start) = &mut object.start {
            receive(download, start).await?;
        }
        let start = object.start.take().expect("it was begun now or by an earlier download");
        let digest = Digest(start.context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"));
        if expected.is_some_and(|expected| expected != digest) {
            remove(&start.file);
            return Err(InputError::Damaged);
        }
        if !is_kept {
            return Ok(destination.take(&start.file).map_err(cant_write)?);
        }
        let cached = self.keep(&start.file, digest, start.received).map_err(cant_write)?;
        object.whole = start.version.map(|version| Whole { version, digest });
        copy(cached, destination).await
    }

    /// Begins a download in a new file.
    fn begin(&self, object: &mut Object, version: Option<String>) -> Result<(), TransferError> {
        if let Some(old) = object.start.take() {
            remove(&old.file);
        }
        let file = self.folder.join(format!("{}.part", self.index().next()));
        let create = || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            OpenOptions::new().write(true).create_new(true).mode(0o666).open(&file)
        };
        create().map_err(cant_write)?;
        object.start = Some(Start { version, file, received: 0, context: Context::new(&SHA256) });
        Ok(())
    }

    /// Moves a complete file into the cache, and opens it.
    fn keep(&self, file: &Path, digest: Digest, length: u64) -> io::Result<File> {
        let mut index = self.index();
        if let Some(known) = index.open(&digest) {
            remove(file);
            return Ok(known);
        }
        index.make_room(self.limit.saturating_sub(length));
        let kept = self.folder.join(digest.to_string());
        fs::rename(file, &kept)?;
        let opened = File::open(&kept)?;
        let content = Content { file: kept, stamp: Stamp::of(&opened.metadata()?), last_use: index.next() };
        index.used = index.used.saturating_add(length);
        index.contents.insert(digest, content);
        Ok(opened)
    }

    /// What is known of the object of a link. The query of a link is its permission, which changes.
    fn object(&self, url: &str) -> Arc<AsyncMutex<Object>> {
        let name = url.split(['?', '#']).next().unwrap_or(url);
        let mut index = self.index();
        if index.objects.len() >= MAX_OBJECTS {
            index.objects.retain(|_, object| Arc::strong_count(object) > 1);
        }
        index.objects.entry(name.to_owned()).or_default().clone()
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Opens a file, unless a task has changed or removed it.
    fn open(&mut self, digest: &Digest) -> Option<File> {
        let now = self.next();
        let content = self.contents.get_mut(digest)?;
        let opened = File::open(&content.file).ok();
        let intact =
            opened.filter(|file| file.metadata().is_ok_and(|metadata| Stamp::of(&metadata) == content.stamp));
        match intact {
            Some(file) => {
                content.last_use = now;
                Some(file)
            }
            None => {
                tracing::warn!(file = %content.file.display(), "a task has changed a file of the input cache; dropping it");
                self.forget(*digest);
                None
            }
        }
    }

    /// Removes the files that were not used for the longest time, until at most `limit` bytes are left.
    fn make_room(&mut self, limit: u64) {
        while self.used > limit || (limit == 0 && !self.contents.is_empty()) {
            let oldest = self.contents.iter().min_by_key(|(_, content)| content.last_use);
            let Some(digest) = oldest.map(|(digest, _)| *digest) else { break };
            self.forget(digest);
        }
    }

    fn forget(&mut self, digest: Digest) {
        if let Some(content) = self.contents.remove(&digest) {
            self.used = self.used.saturating_sub(content.stamp.length);
            remove(&content.file);
        }
    }
}

/// Receives the rest of a download into its file. What was received stays, if the transfer fails.
async fn receive(download: Download, start: &mut Start) -> Result<(), TransferError> {
    let file = OpenOptions::new().write(true).open(&start.file).map_err(cant_write)?;
    // A transfer may have been dropped while it wrote.
    file.set_len(start.received).map_err(cant_write)?;
    let mut file = tokio::fs::File::from_std(file);
    file.seek(SeekFrom::End(0)).await.map_err(cant_write)?;
    let Start { received, context, .. } = start;
    download
        .receive(&mut file, |part| {
            *received += part.len() as u64;
            context.update(part);
        })
        .await
}

/// Copies a file to a destination. Where the file system can, both share their blocks until one is changed.
async fn copy(mut from: File, destination: &Destination) -> Result<(), InputError> {
    let destination = destination.clone();
    let copied = on_a_blocking_thread(move || {
        let mut to = destination.create()?;
        io::copy(&mut from, &mut to)?;
        destination.commit()
    });
    Ok(copied.await.map_err(cant_write)?)
}

fn remove(file: &Path) {
    if let Err(error) = fs::remove_file(file)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %file.display(), "failed to remove a file of the input cache");
    }
}

fn cant_write(source: io::Error) -> TransferError {
    TransferError::File { path: "an input of a task".into(), operation: FileOperation::Write, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(limit: u64) -> (tempfile::TempDir, Inputs) {
        let folder = tempfile::tempdir().unwrap();
        let inputs = Inputs::new(folder.path().join("inputs"), limit);
        (folder, inputs)
    }

    /// Puts a file of this length into the cache.
    fn keep(inputs: &Inputs, name: u8, length: usize) {
        fs::create_dir_all(&inputs.folder).unwrap();
        let file = inputs.folder.join("new.part");
        fs::write(&file, vec![name; length]).unwrap();
        inputs.keep(&file, Digest([name; 32]), length as u64).unwrap();
    }

    fn has(inputs: &Inputs, name: u8) -> bool {
        inputs.index().open(&Digest([name; 32])).is_some()
    }

    #[test]
    fn least_recently_used_files_are_removed() {
        let (_folder, inputs) = inputs(100);
        for name in 1..=4 {
            keep(&inputs, name, 25);
        }
        assert!(has(&inputs, 1), "it is used again");
        keep(&inputs, 5, 50);
        let left: Vec<u8> = (1..=5).filter(|name| has(&inputs, *name)).collect();
        assert_eq!((left, inputs.index().used), (vec![1, 4, 5], 100));
        assert_eq!(fs::read_dir(&inputs.folder).unwrap().count(), 3);
        assert!(inputs.clear() && !inputs.clear());
        assert_eq!((fs::read_dir(&inputs.folder).unwrap().count(), inputs.index().used), (0, 0));
    }

    #[test]
    fn equal_contents_are_kept_once_and_changed_ones_dropped() {
        let (_folder, inputs) = inputs(100);
        keep(&inputs, 1, 60);
        keep(&inputs, 1, 60);
        assert_eq!(inputs.index().used, 60);
        let file = inputs.folder.join(Digest([1; 32]).to_string());
        fs::write(&file, vec![2; 60]).unwrap();
        assert!(!has(&inputs, 1));
        assert!(!file.exists());
    }

    #[test]
    fn permission_of_a_link_is_not_part_of_the_object() {
        let (_folder, inputs) = inputs(1);
        let same = |one, other| Arc::ptr_eq(&inputs.object(one), &inputs.object(other));
        assert!(same("http://s3/a/in?x=1", "http://s3/a/in?x=2"));
        assert!(!same("http://s3/a/in?x=1", "http://s3/b/in?x=1"));
    }
}
