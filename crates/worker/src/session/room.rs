//! Whether there is room where tasks work. Without it, they would all fail here while they could run elsewhere.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use nix::sys::statvfs::statvfs;

use super::Session;
use crate::run::scratch::{on_a_blocking_thread, private_folder};

/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// A file system is full when less than a hundredth of it is free, within these bounds.
const LEAST_BYTES: u64 = 1 << 20;
const MOST_BYTES: u64 = 64 << 20;

impl Session {
    /// Looks at the scratch directory from time to time, and says when it becomes unusable or usable.
    pub(crate) async fn watch_scratch(&self) -> Infallible {
        loop {
            let root = self.root.clone();
            let looked = on_a_blocking_thread(move || look(&root)).await;
            let has_room = looked.is_ok();
            let is_news =
                self.has_room.send_if_modified(|before| std::mem::replace(before, has_room) != has_room);
            match looked {
                Err(error) if is_news => tracing::error!(
                    %error,
                    path = %self.root.display(),
                    "this worker takes no tasks: the scratch directory can't be used"
                ),
                Ok(()) if is_news => tracing::info!("the scratch directory can be used; taking tasks again"),
                Ok(()) | Err(_) => {}
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// Whether tasks can write there.
fn look(root: &Path) -> io::Result<()> {
    private_folder(root)?;
    let found = statvfs(root)?;
    let unit = found.fragment_size();
    let (free, total) = (found.blocks_available() * unit, found.blocks() * unit);
    if total > 0 && free < (total / 100).clamp(LEAST_BYTES, MOST_BYTES) {
        return Err(io::Error::new(io::ErrorKind::StorageFull, format!("only {free} bytes are free")));
    }
    // A quota, a limit on files, or a file system that has become read-only shows only when it is tried.
    let probe = root.join("probe");
    let written = File::create(&probe).and_then(|mut file| file.write_all(b"x"));
    let removed = std::fs::remove_file(&probe);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_that_can_be_written_is_usable_and_one_that_cannot_is_not() {
        let folder = tempfile::tempdir().unwrap();
        look(&folder.path().join("root")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("root")).unwrap().count(), 0, "nothing is left");
        std::fs::write(folder.path().join("file"), "").unwrap();
        look(&folder.path().join("file")).unwrap_err();
        look(Path::new("/proc/self")).unwrap_err();
    }
}
