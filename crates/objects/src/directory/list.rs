//! Walks the files of a class in the order of their keys.

use std::fs;
use std::path::Path;

use mitosis_domain::object::{ObjectClass, ObjectKey};

use super::{is_absent, layout};
use crate::directory::layout::Entry;
use crate::{FileOperation, ObjectError, ObjectMeta};

/// A page of a listing while it is being filled.
pub(super) struct Page {
    class: ObjectClass,
    prefix: Vec<u8>,
    after: Option<Vec<u8>>,
    limit: usize,
    found: Vec<ObjectMeta>,
}

impl Page {
    pub(super) fn new(class: ObjectClass, prefix: &str, after: Option<&str>, limit: usize) -> Self {
        let after = after.map(|after| after.as_bytes().to_owned());
        Self { class, prefix: prefix.as_bytes().to_owned(), after, limit, found: Vec::new() }
    }

    pub(super) fn fill(mut self, folder: &Path) -> Result<Vec<ObjectMeta>, ObjectError> {
        self.walk(folder, &[])?;
        Ok(self.found)
    }

    /// Visits `folder`, whose keys all start with `start`. The names in a folder are sorted by the bytes that
    /// they add to the key, which is the order of the keys below them.
    fn walk(&mut self, folder: &Path, start: &[u8]) -> Result<(), ObjectError> {
        let mut entries = read_folder(folder)?;
        entries.sort_unstable_by(|(a, _), (b, _)| a.bytes().cmp(b.bytes()));
        for (entry, name) in entries {
            if self.found.len() >= self.limit {
                break;
            }
            let path = folder.join(name);
            let key = [start, entry.bytes()].concat();
            match entry {
                Entry::Folder(_) if self.may_be_below(&key) => self.walk(&path, &key)?,
                Entry::Object(_) if self.is_wanted(&key) => self.add(&path, key)?,
                Entry::Folder(_) | Entry::Object(_) => {}
            }
        }
        Ok(())
    }

    fn is_wanted(&self, key: &[u8]) -> bool {
        key.starts_with(&self.prefix) && self.after.as_deref().is_none_or(|after| key > after)
    }

    /// Whether the page can contain keys that start with `start`.
    fn may_be_below(&self, start: &[u8]) -> bool {
        let in_prefix = start.starts_with(&self.prefix) || self.prefix.starts_with(start);
        in_prefix && self.after.as_deref().is_none_or(|after| start > after || after.starts_with(start))
    }

    fn add(&mut self, path: &Path, key: Vec<u8>) -> Result<(), ObjectError> {
        // A name that is not UTF-8 was not made from a key.
        let Ok(key) = String::from_utf8(key) else { return Ok(()) };
        match fs::metadata(path) {
            Ok(metadata) => {
                self.found.push(layout::describe(ObjectKey::from_stored(self.class, key), path, &metadata)?);
                Ok(())
            }
            // Removed since the folder was read.
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(ObjectError::directory(FileOperation::ReadMetadata, path)(error)),
        }
    }
}

fn read_folder(folder: &Path) -> Result<Vec<(Entry, String)>, ObjectError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Removed since the folder above was read.
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(ObjectError::directory(FileOperation::List, folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(ObjectError::directory(FileOperation::List, folder))?.file_name();
        if let Ok(name) = name.into_string()
            && let Some(entry) = Entry::read(&name)
        {
            names.push((entry, name));
        }
    }
    Ok(names)
}
