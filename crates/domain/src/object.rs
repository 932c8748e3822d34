//! Keys of stored objects. Only this module creates keys.

use std::fmt;

use mitosis_protocol::{ArtifactKind, Epoch};
use uuid::Uuid;

use crate::limits;
use crate::name::Name;

/// The class of an object, which selects its bucket or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectClass {
    /// Archives of tasks.
    Artifacts,
    /// Files of groups.
    Attachments,
}

/// The full key of one stored object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    class: ObjectClass,
    path: String,
}

/// The record that an object belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// An archive belongs to the task with this UUID.
    Task(Uuid),
    /// An attachment belongs to a group.
    Group {
        /// The name of the group.
        name: &'a str,
        /// The key within the group.
        key: &'a str,
    },
}

/// An invalid attachment key (HTTP contract §8).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// `group/key` is too long.
    #[error("group and key together have at most {limit} bytes", limit = limits::MAX_OBJECT_KEY_BYTES)]
    TooLong,
    /// The key is empty or absolute, or has an empty, `.` or `..` part, or a control character.
    #[error(
        "a key is made of parts joined by single `/`; none may be empty, `.` or `..`, and control characters are not allowed"
    )]
    BadPart,
}

/// Checks the part of an attachment key that the user chooses.
pub fn check_key(key: &str) -> Result<(), InvalidKey> {
    if key.len() > limits::MAX_OBJECT_KEY_BYTES {
        return Err(InvalidKey::TooLong);
    }
    let good = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
    if key.split('/').all(good) { Ok(()) } else { Err(InvalidKey::BadPart) }
}

impl ObjectKey {
    /// An archive that one attempt uploads; visible only once the attempt is committed.
    pub fn attempt_artifact(task: Uuid, epoch: Epoch, kind: ArtifactKind) -> Self {
        Self { class: ObjectClass::Artifacts, path: format!("{task}/{epoch}/{}", kind.file_name()) }
    }

    /// An archive that a user uploads for a task.
    pub fn artifact(task: Uuid, kind: ArtifactKind) -> Self {
        Self { class: ObjectClass::Artifacts, path: format!("{task}/{}", kind.file_name()) }
    }

    /// A file that a group shares.
    pub fn attachment(group: &Name, key: &str) -> Result<Self, InvalidKey> {
        check_key(key)?;
        let path = format!("{group}/{key}");
        if path.len() > limits::MAX_OBJECT_KEY_BYTES {
            return Err(InvalidKey::TooLong);
        }
        Ok(Self { class: ObjectClass::Attachments, path })
    }

    /// The object that is written and read to check links. Keys of artifacts and attachments all contain a `/`,
    /// so none is equal.
    pub fn probe() -> Self {
        Self { class: ObjectClass::Artifacts, path: "mitosis-doctor-probe".to_owned() }
    }

    /// An object that contains the archives of many tasks. It has no owner, and no link leads to it.
    pub fn packed(id: Uuid) -> Self {
        Self { class: ObjectClass::Artifacts, path: format!("packed/{id}") }
    }

    /// A stored key, as [`Self::path`] returned it.
    pub fn from_stored(class: ObjectClass, path: String) -> Self {
        Self { class, path }
    }

    /// The record that the object belongs to. `None` for a path that is no artifact's and no attachment's.
    pub fn owner(&self) -> Option<Owner<'_>> {
        let (first, key) = self.path.split_once('/')?;
        match self.class {
            ObjectClass::Artifacts => Uuid::try_parse(first).ok().map(Owner::Task),
            ObjectClass::Attachments => Some(Owner::Group { name: first, key }),
        }
    }

    /// The class of the object.
    pub const fn class(&self) -> ObjectClass {
        self.class
    }

    /// The path within the class, with parts joined by `/`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.class {
            ObjectClass::Artifacts => "artifacts",
            ObjectClass::Attachments => "attachments",
        };
        write!(f, "{prefix}/{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_belongs_to_its_task_or_group() {
        let (task, group) = (Uuid::from_u128(7), Name::new("lab").unwrap());
        for key in [
            ObjectKey::artifact(task, ArtifactKind::Result),
            ObjectKey::attempt_artifact(task, Epoch(2), ArtifactKind::StdLog),
        ] {
            assert_eq!(key.owner(), Some(Owner::Task(task)), "{key}");
        }
        let key = ObjectKey::attachment(&group, "in/a.bin").unwrap();
        assert_eq!(key.owner(), Some(Owner::Group { name: "lab", key: "in/a.bin" }));
        assert_eq!(ObjectKey::probe().owner(), None);
        assert_eq!(ObjectKey::packed(task).owner(), None);
    }

    #[test]
    fn keys_cannot_leave_their_class() {
        let group = Name::new("lab").unwrap();
        for good in ["a.bin", "in/a b/ü.bin", "..a", "a..", "%2e%2e"] {
            assert!(ObjectKey::attachment(&group, good).is_ok(), "{good}");
        }
        for bad in ["", "/", "/a", "a/", "a//b", "./a", "a/./b", "../a", "a/..", "a\0b", "a\nb"] {
            assert_eq!(ObjectKey::attachment(&group, bad), Err(InvalidKey::BadPart), "{bad:?}");
        }
        assert_eq!(ObjectKey::attachment(&group, &"x".repeat(1020)), Err(InvalidKey::TooLong));
    }
}
