//! Names of users and groups.

use std::fmt;

use serde::Serialize;

/// A name of a user or group: 1 to 255 characters of `A-Z a-z 0-9 - _` (semantics §1).
///
/// Users and groups share one name space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(String);

/// Bytes of the longest name.
pub const MAX_NAME_BYTES: usize = 255;

/// Text that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The name is empty.
    #[error("a name can't be empty")]
    Empty,
    /// The name has more than 255 characters.
    #[error("a name has at most 255 characters, this one has {0}")]
    TooLong(usize),
    /// The name has a character outside the alphabet.
    #[error("a name can only contain A-Z, a-z, 0-9, `-` and `_`, not {0:?}")]
    BadCharacter(char),
}

impl Name {
    /// Checks and wraps `text`.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
            return Err(InvalidName::BadCharacter(bad));
        }
        if text.len() > MAX_NAME_BYTES {
            return Err(InvalidName::TooLong(text.len()));
        }
        Ok(Self(text))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_bounded_length_and_alphabet() {
        assert!(Name::new("vision-lab_2").is_ok());
        assert!(Name::new("a".repeat(255)).is_ok());
        assert_eq!(Name::new(""), Err(InvalidName::Empty));
        assert_eq!(Name::new("a".repeat(256)), Err(InvalidName::TooLong(256)));
        for bad in ["a b", "ä", "a/b", "a\0b", "a:b"] {
            assert!(matches!(Name::new(bad), Err(InvalidName::BadCharacter(_))), "{bad:?}");
        }
    }
}
