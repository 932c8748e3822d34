//! Checks the free space of the scratch directory. Without space, all tasks would fail here, while they could
//! run elsewhere.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use nix::sys::statvfs::statvfs;

use super::Session;
use crate::run::scratch::{on_a_blocking_thread, private_folder};

/// Time between two checks.
const POLL_INTERVAL: Duration = Duration::from_secs(3);
/// A file system is full when less than a hundredth of it is free, within these bounds.
const MIN_FREE_BYTES: u64 = 1 << 20;
const MAX_FREE_BYTES: u64 = 64 << 20;

impl Session {
    /// Checks the scratch directory periodically, and reports when it becomes unusable or usable.
    pub(crate) async fn watch_disk_space(&self) -> Infallible {
        loop {
            let root = self.root.clone();
            let checked = on_a_blocking_thread(move || check(&root)).await;
            let has_space = checked.is_ok();
            let has_changed =
                self.has_space.send_if_modified(|before| std::mem::replace(before, has_space) != has_space);
            match checked {
                Err(error) if has_changed => tracing::error!(
                    %error,
                    path = %self.root.display(),
                    "the worker takes no tasks: the scratch directory is unusable"
                ),
                Ok(()) if has_changed => {
                    tracing::info!("the worker takes tasks again: the scratch directory is usable");
                }
                Ok(()) | Err(_) => {}
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Whether tasks can write to the directory.
fn check(root: &Path) -> io::Result<()> {
    private_folder(root)?;
    let found = statvfs(root)?;
    let unit = found.fragment_size();
    let (free, total) = (found.blocks_available() * unit, found.blocks() * unit);
    if total > 0 && free < (total / 100).clamp(MIN_FREE_BYTES, MAX_FREE_BYTES) {
        return Err(io::Error::new(io::ErrorKind::StorageFull, format!("only {free} bytes are free")));
    }
    // A quota, an inode limit or a read-only file system shows only in a write.
    let probe = root.join("probe");
    let written = File::create(&probe).and_then(|mut file| file.write_all(b"x"));
    let removed = std::fs::remove_file(&probe);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_writable_directory_is_usable() {
        let folder = tempfile::tempdir().unwrap();
        check(&folder.path().join("root")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("root")).unwrap().count(), 0, "nothing is left");
        std::fs::write(folder.path().join("file"), "").unwrap();
        check(&folder.path().join("file")).unwrap_err();
        check(Path::new("/proc/self")).unwrap_err();
    }
}
