//! Removes an object, and the folders that it leaves empty.

use std::fs;
use std::path::Path;

use super::folders::Folders;
use super::is_absent;
use crate::{FileOperation, ObjectError};

pub(super) fn remove(folders: &Folders, path: &Path, class: &Path) -> Result<(), ObjectError> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(ObjectError::directory(FileOperation::Remove, path)(error)),
    }
    let folder = path.parent().expect("an object lies in a folder");
    folders.save(folder)?;
    folders.remove_empty(folder, class)
}
