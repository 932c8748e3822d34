//! Removes an object, and the folders that it leaves empty.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::is_absent;
use crate::ObjectError;

pub(super) fn remove(path: &Path, shelf: &Path) -> Result<(), ObjectError> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(ObjectError::directory("remove", path)(error)),
    }
    let folder = path.parent().expect("an object lies in a folder");
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Ok(()) => {}
        // Another removal has cleared the folder away.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ObjectError::directory("save", folder)(error)),
    }
    remove_empty_folders(folder, shelf);
    Ok(())
}

/// An empty folder costs nothing but order, so whatever keeps one in place may keep it.
fn remove_empty_folders(folder: &Path, shelf: &Path) {
    let below = |folder: &&Path| *folder != shelf && folder.starts_with(shelf);
    for folder in folder.ancestors().take_while(below) {
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
}
