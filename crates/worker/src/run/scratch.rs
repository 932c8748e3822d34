//! The directories of one slot (semantics §7.2). One task at a time uses them. Untouched directories are
//! reused; others are replaced.

use std::borrow::Cow;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mitosis_protocol::Uuid;

use super::output_files::OutputFiles;
use crate::exit::WorkerError;
use crate::os::directory_lock::DirectoryLock;
use crate::os::remove_tree::{OWNER, make_writable, remove_tree};

/// The working directories of a task.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    root: PathBuf,
    /// How many directories of this slot could not be emptied, and were replaced by new ones.
    spoiled: Arc<AtomicUsize>,
    /// Whether the directories are known to be clean.
    is_fresh: Arc<AtomicBool>,
}

/// Whether the output of a command is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputMode {
    Keep,
    Discard,
}

impl Scratch {
    /// Uses the directories below `root`, which is created when it is needed.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root, spoiled: Arc::default(), is_fresh: Arc::default() }
    }

    fn entry(&self, name: &str) -> PathBuf {
        self.current().join(name)
    }

    /// The directory that is in use.
    fn current(&self) -> Cow<'_, Path> {
        match self.spoiled.load(Ordering::Relaxed) {
            0 => Cow::Borrowed(&self.root),
            spoiled => Cow::Owned(self.successor(spoiled)),
        }
    }

    /// The directory that is used after `spoiled` others were abandoned.
    fn successor(&self, spoiled: usize) -> PathBuf {
        let mut name = self.root.clone().into_os_string();
        name.push(format!(".{spoiled}"));
        name.into()
    }

    /// The directory with all others.
    pub(super) fn folder(&self) -> PathBuf {
        self.current().into_owned()
    }

    pub(crate) fn result(&self) -> PathBuf {
        self.entry("result")
    }

    pub(crate) fn exec(&self) -> PathBuf {
        self.entry("exec")
    }

    pub(crate) fn resource(&self) -> PathBuf {
        self.entry("resource")
    }

    pub(crate) fn new_task(&self) -> PathBuf {
        self.entry("new_task.json")
    }

    pub(crate) fn stdout(&self) -> PathBuf {
        self.entry("stdout.log")
    }

    pub(crate) fn stderr(&self) -> PathBuf {
        self.entry("stderr.log")
    }

    /// Cleans all directories for the next task; creates files for its output if that is kept.
    pub(crate) async fn freshen(&self, output: OutputMode) -> io::Result<Option<OutputFiles>> {
        // The next task may change it, so the flag is used once.
        let is_fresh = self.is_fresh.swap(false, Ordering::Relaxed);
        if is_fresh && output == OutputMode::Discard {
            return Ok(None);
        }
        let scratch = self.clone();
        on_a_blocking_thread(move || {
            if is_fresh && let Ok(output) = scratch.output_files() {
                return Ok(Some(output));
            }
            scratch.empty_or_replace(output)
        })
        .await
    }

    /// Empties the directories, or replaces them if a task left entries behind that the worker can't remove.
    fn empty_or_replace(&self, output: OutputMode) -> io::Result<Option<OutputFiles>> {
        let error = match self.empty(output) {
            Err(error) => error,
            ready => return ready,
        };
        let spoiled = self.spoiled.fetch_add(1, Ordering::Relaxed);
        let replaced = self.empty(output);
        match &replaced {
            Ok(_) => tracing::warn!(
                %error,
                successor = %self.successor(spoiled + 1).display(),
                "failed to empty the directory of a slot; using a new one"
            ),
            // The error doesn't depend on the directory.
            Err(_) => self.spoiled.store(spoiled, Ordering::Relaxed),
        }
        replaced
    }

    fn empty(&self, output: OutputMode) -> io::Result<Option<OutputFiles>> {
        self.unlink_replaced()?;
        make_writable(&self.current());
        for folder in [self.result(), self.exec(), self.resource()] {
            empty_folder(&folder)?;
        }
        absent(&self.new_task())?;
        match output {
            OutputMode::Keep => self.output_files().map(Some),
            OutputMode::Discard => Ok(None),
        }
    }

    fn output_files(&self) -> io::Result<OutputFiles> {
        Ok(OutputFiles::new(new_file(&self.stdout())?, new_file(&self.stderr())?))
    }

    /// Notes that the directories have to be cleaned before the next task.
    pub(super) fn mark_used(&self) {
        self.is_fresh.store(false, Ordering::Relaxed);
    }

    /// Removes the files of a packed output, so that an idle slot keeps no files. Files that can't be removed now are
    /// removed before the next task.
    pub(super) fn remove_output_files(&self) {
        for file in [self.stdout(), self.stderr()] {
            if absent(&file).is_err() {
                self.mark_used();
            }
        }
    }

    /// Removes anything that replaced the slot's directory or the directory of all slots, such as a link to the
    /// directory of another slot. The link is never followed.
    fn unlink_replaced(&self) -> io::Result<()> {
        let current = self.current();
        for folder in current.parent().into_iter().chain([&*current]) {
            if is_replaced(folder) {
                std::fs::remove_file(folder)?;
            }
        }
        Ok(())
    }

    /// Removes the files of a task, so that an idle slot keeps none. Files that can't be removed now are removed
    /// before the next task.
    pub(crate) async fn clear(&self) {
        if self.is_fresh.load(Ordering::Relaxed) {
            return;
        }
        let scratch = self.clone();
        on_a_blocking_thread(move || {
            if let Err(error) = scratch.unlink_replaced() {
                tracing::debug!(%error, "failed to remove a link in the place of a directory");
                return;
            }
            let folders = [scratch.result(), scratch.exec(), scratch.resource()];
            let files = [scratch.new_task(), scratch.stdout(), scratch.stderr()];
            let emptied = folders.iter().map(|folder| empty_folder(folder));
            for error in emptied.chain(files.iter().map(|file| absent(file))).filter_map(Result::err) {
                tracing::debug!(%error, "failed to remove an output of the last task; retrying before the next one");
            }
        })
        .await;
    }

    /// Whether a task left neither outputs nor a follow-up request. An unreadable directory counts as touched.
    /// This can block.
    pub(crate) fn is_untouched(&self) -> bool {
        let is_empty =
            |folder: PathBuf| std::fs::read_dir(folder).is_ok_and(|mut found| found.next().is_none());
        let left_nothing = is_empty(self.result()) && is_empty(self.exec()) && !self.new_task().exists();
        let is_fresh = left_nothing && is_empty(self.resource()) && self.is_writable();
        self.is_fresh.store(is_fresh, Ordering::Relaxed);
        left_nothing
    }

    /// Whether the next task may write to every directory.
    fn is_writable(&self) -> bool {
        let is_usable = |folder: &Path| std::fs::symlink_metadata(folder).is_ok_and(|it| is_usable(&it));
        is_usable(&self.current())
            && [self.result(), self.exec(), self.resource()].iter().all(|folder| is_usable(folder))
    }
}

/// Creates and locks the root directory of a registration.
pub(crate) async fn make_root(base: &Path, worker: Uuid) -> Result<(PathBuf, DirectoryLock), WorkerError> {
    // Commands use its paths in other working directories.
    let base =
        std::path::absolute(base).map_err(|source| WorkerError::Scratch { path: base.to_owned(), source })?;
    let root = base.join(worker.to_string());
    on_a_blocking_thread(move || match DirectoryLock::acquire(&root) {
        Ok(hold) => Ok((root, hold)),
        Err(source) => Err(WorkerError::Scratch { path: root, source }),
    })
    .await
}

/// Removes the root directory of a registration. Logs a warning if that fails.
pub(crate) async fn remove(root: &Path) {
    let root = root.to_owned();
    on_a_blocking_thread(move || {
        if let Err(error) = remove_tree(&root) {
            tracing::warn!(%error, path = %root.display(), "failed to remove the scratch directory");
        }
    })
    .await;
}

/// Runs file operations on a thread that may block.
pub(crate) async fn on_a_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("file work does not panic, and is not aborted")
}

pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether a directory has been replaced by something else.
fn is_replaced(folder: &Path) -> bool {
    std::fs::symlink_metadata(folder).is_ok_and(|found| !found.is_dir())
}

fn empty_folder(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if is_usable(&found) && std::fs::read_dir(path)?.next().is_none() => {
            return Ok(());
        }
        Ok(found) if found.is_dir() => remove_tree(path)?,
        Ok(_) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    private_folder(path)
}

/// Whether the owner may write to a directory: a task can have changed its mode.
fn is_usable(found: &std::fs::Metadata) -> bool {
    found.is_dir() && found.permissions().mode() & OWNER == OWNER
}

fn absent(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => remove_tree(path),
        removed => removed,
    }
}

/// Creates a file that no other process has open: a process of an earlier task may still write to the old one.
fn new_file(path: &Path) -> io::Result<File> {
    absent(path)?;
    File::options().read(true).append(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn idle_slot_keeps_nothing_of_the_last_task() {
        let base = tempfile::tempdir().unwrap();
        let scratch = Scratch::at(base.path().join("0"));
        scratch.freshen(OutputMode::Keep).await.unwrap();
        let folders = [scratch.result(), scratch.exec(), scratch.resource()];
        for folder in &folders {
            std::fs::write(folder.join("left"), "x").unwrap();
        }
        std::fs::write(scratch.new_task(), "{}").unwrap();
        assert!(!scratch.is_untouched());
        scratch.clear().await;
        for folder in &folders {
            assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "{}", folder.display());
        }
        for file in [scratch.new_task(), scratch.stdout(), scratch.stderr()] {
            assert!(!file.exists(), "{}", file.display());
        }
    }

    /// A task can replace its own directory by a link to that of another slot, or to any other one.
    #[tokio::test]
    async fn link_instead_of_a_slot_directory_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let slots = base.path().join("slots");
        let [own, other] = ["0", "1"].map(|slot| Scratch::at(slots.join(slot)));
        other.freshen(OutputMode::Keep).await.unwrap();
        std::fs::write(other.result().join("kept"), "x").unwrap();
        for clears in [false, true] {
            own.freshen(OutputMode::Keep).await.unwrap();
            std::fs::remove_dir_all(&own.root).unwrap();
            std::os::unix::fs::symlink(&other.root, &own.root).unwrap();
            assert!(!own.is_untouched());
            if clears {
                own.clear().await;
            }
            own.freshen(OutputMode::Keep).await.unwrap();
            assert!(own.root.symlink_metadata().unwrap().is_dir());
            assert!(other.result().join("kept").exists());
            assert!(other.stdout().exists());
        }

        let moved = base.path().join("moved");
        std::fs::rename(&slots, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &slots).unwrap();
        own.clear().await;
        own.freshen(OutputMode::Keep).await.unwrap();
        assert!(slots.symlink_metadata().unwrap().is_dir());
        assert!(moved.join("1/result/kept").exists());
    }

    #[tokio::test]
    async fn changed_modes_of_directories_are_restored() {
        let base = tempfile::tempdir().unwrap();
        let scratch = Scratch::at(base.path().join("0"));
        scratch.freshen(OutputMode::Discard).await.unwrap();
        let folders = || [base.path().join("0"), scratch.result(), scratch.exec(), scratch.resource()];
        for spoiled in folders() {
            assert!(folders().iter().all(|folder| mode(folder) == 0o700));
            std::fs::set_permissions(&spoiled, std::fs::Permissions::from_mode(0o500)).unwrap();
            assert!(scratch.is_untouched(), "nothing that has to be kept");
            scratch.freshen(OutputMode::Discard).await.unwrap();
            assert_eq!(mode(&spoiled), 0o700, "{}", spoiled.display());
        }
    }

    #[tokio::test]
    async fn next_task_finds_clean_directories() {
        let base = tempfile::tempdir().unwrap();
        let (root, _hold) = make_root(base.path(), Uuid::nil()).await.unwrap();
        let scratch = Scratch::at(root.join("0"));
        scratch.freshen(OutputMode::Keep).await.unwrap();
        std::fs::write(scratch.result().join("left"), "x").unwrap();
        std::fs::remove_dir(scratch.exec()).unwrap();
        std::os::unix::fs::symlink("/", scratch.exec()).unwrap();
        std::fs::create_dir_all(scratch.resource().join("a/b")).unwrap();
        std::fs::create_dir(scratch.new_task()).unwrap();
        std::fs::write(scratch.stdout(), "old").unwrap();

        assert!(!scratch.is_untouched());
        scratch.freshen(OutputMode::Keep).await.unwrap();
        for folder in [scratch.result(), scratch.exec(), scratch.resource()] {
            assert!(folder.symlink_metadata().unwrap().is_dir(), "{}", folder.display());
            assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "{}", folder.display());
        }
        assert!(!scratch.new_task().exists());
        assert_eq!(std::fs::read(scratch.stdout()).unwrap(), b"");
        // Untouched directories are reused, but never after a task put a file there.
        assert!(scratch.is_untouched());
        assert!(scratch.freshen(OutputMode::Discard).await.unwrap().is_none());
        std::fs::write(scratch.resource().join("left"), "x").unwrap();
        assert!(scratch.is_untouched(), "nothing that has to be kept");
        scratch.freshen(OutputMode::Discard).await.unwrap();
        assert_eq!(std::fs::read_dir(scratch.resource()).unwrap().count(), 0);
        remove(&root).await;
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
    }
}
