//! Writes an object: first beside its place, then, once it is whole and on the disk, into it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use futures_util::TryStreamExt as _;
use mitosis_domain::object::ObjectKey;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::layout::Layout;
use super::temporary::Temporary;
use super::{blocking, create_folder};
use crate::ObjectError;
use crate::object::ExactBody;

/// How much is handed to the disk at a time.
const WRITE_SIZE: usize = 256 * 1024;

/// How often a folder may be taken away by a removal while we move into it.
const ATTEMPTS: usize = 16;

pub(super) async fn put(
    layout: &Layout,
    name: Uuid,
    key: &ObjectKey,
    body: ExactBody,
) -> Result<(), ObjectError> {
    let folder = layout.temporary();
    let temporary = blocking(move || Temporary::create(&folder, name)).await?;
    let temporary = Discarded(Some(temporary));
    write(temporary.get(), body).await?;

    let (place, shelf) = (layout.file(key), layout.shelf(key.shelf()));
    let temporary = temporary.take();
    blocking(move || {
        temporary.sync()?;
        move_into_place(&temporary, &place)?;
        temporary.keep();
        save_folders(&place, &shelf)
    })
    .await
}

async fn write(temporary: &Temporary, mut body: ExactBody) -> Result<(), ObjectError> {
    let file = tokio::fs::File::from_std(temporary.handle()?);
    let failed = || ObjectError::directory("write", temporary.path());
    let mut file = tokio::io::BufWriter::with_capacity(WRITE_SIZE, file);
    while let Some(chunk) = body.try_next().await? {
        file.write_all(&chunk).await.map_err(failed())?;
    }
    file.flush().await.map_err(failed())
}

fn move_into_place(temporary: &Temporary, place: &Path) -> Result<(), ObjectError> {
    let folder = place.parent().expect("an object lies in a folder");
    for attempt in 1.. {
        match create_folder(folder).and_then(|()| fs::rename(temporary.path(), place)) {
            Ok(()) => break,
            // A removal found the folder empty and took it away between our steps.
            Err(error) if is_vanished_folder(&error) && attempt < ATTEMPTS => {}
            Err(error) => return Err(ObjectError::directory("move a file to", place)(error)),
        }
    }
    Ok(())
}

/// `AlreadyExists` is what creating a folder says when it was there first and then was not.
fn is_vanished_folder(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
}

/// Waits until the names are on the disk too: of the file, and of each folder on the way to it. A
/// folder that was there already may have been made by somebody who has not saved it yet.
fn save_folders(place: &Path, shelf: &Path) -> Result<(), ObjectError> {
    for folder in place.ancestors().skip(1).take_while(|folder| folder.starts_with(shelf)) {
        match File::open(folder).and_then(|folder| folder.sync_all()) {
            Ok(()) => {}
            // The object is stored and has been removed again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(ObjectError::directory("save", folder)(error)),
        }
    }
    Ok(())
}

/// Removes the file on a blocking thread if the upload ends here, also when its future is dropped.
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
        // Without a runtime the file is removed right here.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(temporary));
        }
    }
}
