//! Determines the group and the key of an attachment (command line §5).

use std::fmt;
use std::path::{Path, PathBuf};

use mitosis_sweep::{attachment_key, cleaned_key, file_name};

use crate::cli::client::attachments::PathArgs;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// The group and the key of a file.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::client) struct AttachmentPath {
    pub(in crate::commands::client) group: String,
    pub(in crate::commands::client) key: String,
}

impl fmt::Display for AttachmentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of group {}", self.key, self.group)
    }
}

impl AttachmentPath {
    /// The path of an existing file. `own` is the user's own group.
    pub(in crate::commands::client) fn of_existing(args: &PathArgs, own: &str) -> Result<Self, Failure> {
        match (&args.group, args.smart) {
            (None, true) => {
                let (group, key) = args.key.split_once('/').ok_or_else(|| {
                    Failure::new(Exit::Usage, format!("`{}` does not start with a group", args.key))
                        .with_hint("with --smart the key is GROUP/KEY")
                })?;
                Self::checked(group, key)
            }
            (group, _) => Self::checked(group.as_deref().unwrap_or(own), &args.key),
        }
    }

    /// The path for an upload.
    pub(in crate::commands::client) fn of_new(
        file: &Path,
        key: Option<&str>,
        group: Option<&str>,
        smart: bool,
        own: &str,
    ) -> Result<Self, Failure> {
        let key = key.unwrap_or_default();
        let (group, key) = match (group, smart) {
            (None, true) if !key.is_empty() => key.split_once('/').unwrap_or((key, "")),
            (group, _) => (group.unwrap_or(own), key),
        };
        match key.is_empty() || key.ends_with('/') {
            true => Self::checked(group, &format!("{key}{}", file_name(file)?)),
            false => Self::checked(group, key),
        }
    }

    fn checked(group: &str, key: &str) -> Result<Self, Failure> {
        let key = attachment_key(key).map_err(|error| Failure::new(Exit::Usage, error))?;
        let place = Self { group: group.to_owned(), key };
        match (place.group.is_empty(), place.key.is_empty()) {
            (false, false) => Ok(place),
            (true, _) => Err(Failure::new(Exit::Usage, "the name of the group is empty")
                .with_hint("with --smart the key is GROUP/KEY")),
            (_, true) => Err(Failure::new(Exit::Usage, "the key is empty")
                .with_hint("a key is a path within the group, such as data/in.csv")),
        }
    }
}

/// The local names of downloaded files: the last part of each key, or the whole key if others end alike.
pub(super) fn local_names(keys: &[&str]) -> Vec<PathBuf> {
    let keys: Vec<PathBuf> = keys.iter().map(|key| PathBuf::from(cleaned_key(key))).collect();
    keys.iter()
        .map(|key| {
            let alone = keys.iter().filter(|other| other.file_name() == key.file_name()).count() == 1;
            match key.file_name() {
                Some(name) if alone => PathBuf::from(name),
                _ => key.clone(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(group: &str, key: &str) -> AttachmentPath {
        AttachmentPath { group: group.into(), key: key.into() }
    }

    fn existing(key: &str, group: Option<&str>, smart: bool) -> Result<AttachmentPath, Failure> {
        let args = PathArgs { key: key.into(), group: group.map(str::to_owned), smart };
        AttachmentPath::of_existing(&args, "ann")
    }

    fn new(key: Option<&str>, group: Option<&str>, smart: bool) -> Result<AttachmentPath, Failure> {
        AttachmentPath::of_new(Path::new("dir/in.csv"), key, group, smart, "ann")
    }

    #[test]
    fn key_defaults_to_the_own_group() {
        assert_eq!(existing("a/b", None, false).unwrap(), place("ann", "a/b"));
        assert_eq!(existing("a/./b/../c", Some("lab"), false).unwrap(), place("lab", "a/c"));
        assert_eq!(existing("lab/a/b", None, true).unwrap(), place("lab", "a/b"));
        assert_eq!(existing("lab/a", Some("ann"), true).unwrap(), place("ann", "lab/a"));
        for (wrong, smart) in [
            ("a", true),
            ("/a", true),
            ("lab/", true),
            ("lab/../a", true),
            ("", false),
            ("..", false),
            ("../x", false),
        ] {
            assert!(existing(wrong, None, smart).is_err(), "{wrong}");
        }
    }

    #[test]
    fn upload_key_defaults_to_the_file_name() {
        for nothing in [None, Some("")] {
            assert_eq!(new(nothing, None, false).unwrap(), place("ann", "in.csv"));
            assert_eq!(new(nothing, None, true).unwrap(), place("ann", "in.csv"));
        }
        assert_eq!(new(Some("data/"), None, false).unwrap(), place("ann", "data/in.csv"));
        assert_eq!(new(Some("data"), Some("lab"), false).unwrap(), place("lab", "data"));
        assert_eq!(new(Some("lab"), None, true).unwrap(), place("lab", "in.csv"));
        assert_eq!(new(Some("lab/data/"), None, true).unwrap(), place("lab", "data/in.csv"));
        assert_eq!(new(Some("lab/x.csv"), None, true).unwrap(), place("lab", "x.csv"));
        assert_eq!(new(Some("x/y"), Some("lab"), true).unwrap(), place("lab", "x/y"));
    }

    #[test]
    fn equal_file_names_do_not_collide() {
        let names = local_names(&["a/x", "b/x", "c/y", "../../z"]);
        assert_eq!(names, ["a/x", "b/x", "y", "z"].map(PathBuf::from));
    }
}
