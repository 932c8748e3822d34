//! Writes an object: first into a temporary file, then, once it is complete and on the disk, to its final name.

use std::path::Path;

use futures_util::TryStreamExt as _;
use mitosis_domain::object::ObjectKey;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::blocking;
use super::folders::Folders;
use super::layout::Layout;
use super::temporary::Temporary;
use crate::object::ExactBody;
use crate::{FileOperation, ObjectError};

/// How many bytes are written to the disk at a time.
const WRITE_SIZE: usize = 256 * 1024;

pub(super) async fn put(
    layout: &Layout,
    folders: Folders,
    name: Uuid,
    key: &ObjectKey,
    body: ExactBody,
) -> Result<(), ObjectError> {
    let folder = layout.temporary();
    let temporary = blocking(move || Temporary::create(&folder, name)).await?;
    let temporary = Discarded(Some(temporary));
    write(temporary.get(), body).await?;

    let (place, class) = (layout.file(key), layout.class(key.class()));
    let temporary = temporary.take();
    blocking(move || {
        folders.save_file(&temporary)?;
        folders.move_into_place(temporary.path(), &place)?;
        temporary.keep();
        save_folders(&folders, &place, &class)
    })
    .await
}

async fn write(temporary: &Temporary, mut body: ExactBody) -> Result<(), ObjectError> {
    let file = tokio::fs::File::from_std(temporary.handle()?);
    let failed = || ObjectError::directory(FileOperation::Write, temporary.path());
    let mut file = tokio::io::BufWriter::with_capacity(WRITE_SIZE, file);
    while let Some(chunk) = body.try_next().await? {
        file.write_all(&chunk).await.map_err(failed())?;
    }
    file.flush().await.map_err(failed())
}

/// Flushes the names to the disk too: of the file, and of each folder above it. Another process may have
/// created an existing folder without having flushed it yet.
fn save_folders(folders: &Folders, place: &Path, class: &Path) -> Result<(), ObjectError> {
    let mut on_the_way = place.ancestors().skip(1).take_while(|folder| folder.starts_with(class));
    on_the_way.try_for_each(|folder| folders.save(folder))
}

/// Removes the temporary file on a blocking thread if the upload ends early, also when its future is dropped.
struct Discarded(Option<Temporary>);

impl Discarded {
    fn get(&self) -> &Temporary {
        self.0.as_ref().expect("taken only at the end")
    }

    fn take(mut self) -> Temporary {
        self.0.take().expect("taken only at the end")
    }
}

impl Drop for Discarded {
    fn drop(&mut self) {
        let Some(temporary) = self.0.take() else { return };
        // Without a runtime, the file is removed here.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(temporary));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;

    use futures_util::StreamExt as _;
    use mitosis_domain::name::Name;

    use super::*;
    use crate::directory::create_folders;
    use crate::object::exactly;

    fn full() -> io::Error {
        io::Error::other("the disk is full")
    }

    /// Stores an object on this disk. Returns whether the put succeeds, and whether the object exists.
    async fn stored_on(disk: fn(&File) -> io::Result<()>) -> (bool, bool) {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path().to_owned());
        create_folders(&layout).unwrap();
        let folders = Folders::new(root.path().to_owned()).with_disk(disk);
        let key = ObjectKey::attachment(&Name::new("ann").unwrap(), "deep/er/x").unwrap();
        let body = futures_util::stream::once(async { Ok("abc".into()) }).boxed();
        let stored = put(&layout, folders, Uuid::nil(), &key, exactly(body, 3)).await;
        (stored.is_ok(), layout.file(&key).exists())
    }

    /// A write that fails to reach the disk is never acknowledged, so every acknowledged object survives a
    /// power loss.
    #[tokio::test]
    async fn object_is_acknowledged_once_it_is_on_the_disk() {
        assert_eq!(stored_on(File::sync_all).await, (true, true));
        let files_fail = stored_on(|file| match file.metadata()?.is_file() {
            true => Err(full()),
            false => Ok(()),
        });
        assert_eq!(files_fail.await, (false, false), "its bytes");
        let folders_fail = stored_on(|file| match file.metadata()?.is_dir() {
            true => Err(full()),
            false => Ok(()),
        });
        assert_eq!(folders_fail.await, (false, true), "its name");
        let class_fails = stored_on(|file| {
            match file.metadata()?.is_dir() && std::fs::read_link(fd(file))?.ends_with("attachments") {
                true => Err(full()),
                false => Ok(()),
            }
        });
        assert_eq!(class_fails.await, (false, true), "the name of the first folder on the way");
    }

    fn fd(file: &File) -> std::path::PathBuf {
        use std::os::fd::AsRawFd as _;
        format!("/proc/self/fd/{}", file.as_raw_fd()).into()
    }
}
