//! Which file holds which object.
//!
//! A key becomes a path that a person can still read, and that no file system can misunderstand:
//!
//! | in the key | on the disk | because |
//! |---|---|---|
//! | `a-z 0-9 - _ .` | as it is | |
//! | any other byte | `%xx` | capital letters and accents fold together on some systems |
//! | the last part | ends in `.o` | so that `a` and `a/b` can both exist |
//! | a part before it | ends in `.d` | |
//! | a part of 80 bytes or more | cut every 80, each cut ends in `.c` | names have at most 255 bytes |
//!
//! Every name carries a suffix, so no part can become `.` or `..`. A part is cut whenever it reaches
//! the limit, so no whole part equals the start of a cut one; listing in order depends on that.

use std::fmt::Write as _;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use percent_encoding::percent_decode_str;

use crate::{FileOperation, ObjectError, ObjectMeta};

/// How many bytes of a part go into one name: escaped, that is three times as many, and with a suffix it still
/// fits into 255.
const MAX_NAME_PART: usize = 80;

/// The paths of the store.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder of all objects of one class.
    pub(super) fn class(&self, class: ObjectClass) -> PathBuf {
        self.root.join(match class {
            ObjectClass::Artifacts => "artifacts",
            ObjectClass::Attachments => "attachments",
        })
    }

    /// The folder of incomplete bodies.
    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join("temporary")
    }

    /// The file with the secret that signs links.
    pub(super) fn secret(&self) -> PathBuf {
        self.root.join("link-secret")
    }

    /// The file of one object.
    pub(super) fn file(&self, key: &ObjectKey) -> PathBuf {
        let mut path = self.class(key.class());
        let mut parts = key.path().split('/').peekable();
        while let Some(part) = parts.next() {
            let suffix = if parts.peek().is_some() { ".d" } else { ".o" };
            push_part(&mut path, part.as_bytes(), suffix);
        }
        path
    }
}

fn push_part(path: &mut PathBuf, mut part: &[u8], suffix: &str) {
    while let Some((cut, rest)) = part.split_at_checked(MAX_NAME_PART) {
        path.push(escape(cut, ".c"));
        part = rest;
    }
    path.push(escape(part, suffix));
}

fn escape(bytes: &[u8], suffix: &str) -> String {
    let mut name = String::with_capacity(bytes.len() + suffix.len());
    for &byte in bytes {
        if matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.') {
            name.push(char::from(byte));
        } else {
            write!(name, "%{byte:02x}").expect("a string takes any text");
        }
    }
    name.push_str(suffix);
    name
}

/// The meaning of one name on the disk. The bytes are those that the name adds to the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// An object.
    Object(Vec<u8>),
    /// A folder: of a part, with the `/` after it, or of the start of a long part.
    Folder(Vec<u8>),
}

impl Entry {
    /// Reads a name on the disk; `None` for one that was not made here.
    pub(super) fn read(name: &str) -> Option<Self> {
        let (escaped, suffix) = name.split_at_checked(name.len().checked_sub(2)?)?;
        let mut bytes: Vec<u8> = percent_decode_str(escaped).collect();
        match suffix {
            ".o" => Some(Self::Object(bytes)),
            ".c" => Some(Self::Folder(bytes)),
            ".d" => {
                bytes.push(b'/');
                Some(Self::Folder(bytes))
            }
            _ => None,
        }
    }

    /// What the name adds to the key.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Object(bytes) | Self::Folder(bytes) => bytes,
        }
    }
}

/// The metadata of an object, as the file system has it.
pub(super) fn describe(key: ObjectKey, path: &Path, metadata: &Metadata) -> Result<ObjectMeta, ObjectError> {
    let changed = metadata.modified().map_err(ObjectError::directory(FileOperation::ReadMetadata, path))?;
    let changed = Timestamp::from(time::OffsetDateTime::from(changed));
    Ok(ObjectMeta { key, length: metadata.len(), changed })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn file(path: &str) -> String {
        let key = ObjectKey::from_stored(ObjectClass::Attachments, path.to_owned());
        Layout::new("/r".into())
            .file(&key)
            .to_str()
            .unwrap()
            .strip_prefix("/r/attachments/")
            .unwrap()
            .to_owned()
    }

    #[test]
    fn plain_names_are_readable_and_others_escaped() {
        assert_eq!(file("lab/in/data-1.tar.gz"), "lab.d/in.d/data-1.tar.gz.o");
        assert_eq!(file("lab/Ü %"), "lab.d/%c3%9c%20%25.o");
    }

    #[test]
    fn similar_names_get_different_files() {
        let long = "x".repeat(200);
        let (cut, just_under) = ("y".repeat(80), "y".repeat(79));
        let keys = [
            "a",
            "A",
            "a/b",
            "a.d/b",
            "a.o",
            "a.d",
            "%61",
            "a%2fb",
            "é",
            "e\u{301}",
            &long,
            &long[..199],
            &cut,
            &just_under,
        ];
        let files: HashSet<_> = keys.iter().map(|key| file(key).to_lowercase()).collect();
        assert_eq!(files.len(), keys.len());
    }

    #[test]
    fn keys_stay_in_their_folder_with_names_of_bounded_length() {
        for key in ["../../etc/passwd", "..", ".", "/etc", "a//b", "", "a\0b"] {
            let path = file(key);
            assert!(!path.contains('\0') && !path.starts_with('/'), "{path}");
            assert!(path.split('/').all(|name| !matches!(name, "" | "." | "..")), "{path}");
        }
        for key in ["Ü".repeat(500), "x".repeat(1023), "A/".repeat(511) + "A"] {
            let path = file(&key);
            assert!(path.split('/').all(|name| name.len() <= 255), "{path}");
            assert!(path.len() < 3_200, "{} bytes", path.len());
        }
    }

    #[test]
    fn own_names_are_parsed_and_foreign_ones_skipped() {
        assert_eq!(Entry::read("%c3%9c%20.o"), Some(Entry::Object("Ü ".into())));
        assert_eq!(Entry::read("lab.d"), Some(Entry::Folder("lab/".into())));
        assert_eq!(Entry::read("xyz.c"), Some(Entry::Folder("xyz".into())));
        assert_eq!(Entry::read(".o"), Some(Entry::Object(Vec::new())));
        for foreign in ["", "o", "lost+found", ".DS_Store", "ü"] {
            assert_eq!(Entry::read(foreign), None, "{foreign}");
        }
    }
}
