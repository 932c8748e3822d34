//! Names of jobs.

use std::fmt;
use std::str::FromStr;

use mitosis_protocol::Uuid;
use serde::{Deserialize, Serialize};

use super::LAST;
use super::uuid_prefix::UuidPrefix;

/// Bytes of the longest name of a job.
pub const MAX_JOB_NAME_BYTES: usize = 100;

/// The fewest digits that are taken for a UUID, even if a name is expected.
const UUID_DIGITS: usize = 8;

/// A name of a job: 1 to 100 characters of `A-Z a-z 0-9 - _ .`, beginning with a letter.
///
/// Several jobs may have the same name; a selector means the newest of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobName(String);

/// Why a text can't be the name of a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJobName {
    /// The name is empty.
    #[error("a job name can't be empty: leave it out for a job without a name")]
    Empty,
    /// The name has more than 100 characters.
    #[error("a job name has at most {limit} characters, this one has {0}", limit = MAX_JOB_NAME_BYTES)]
    TooLong(usize),
    /// The name does not begin with a letter.
    #[error("a job name begins with a letter A-Z or a-z, not {0:?}")]
    Start(char),
    /// The name has a character outside the alphabet.
    #[error("a job name can only contain A-Z, a-z, 0-9, `-`, `_` and `.`, not {0:?}")]
    Character(char),
    /// The name has a meaning of its own.
    #[error("`{word}` means the newest job: use another name", word = LAST)]
    Reserved,
    /// The name looks like a UUID.
    #[error("a job name can't look like the UUID of a task: use another name")]
    LikeUuid,
}

impl JobName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for JobName {
    type Error = InvalidJobName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let first = text.chars().next().ok_or(InvalidJobName::Empty)?;
        if !first.is_ascii_alphabetic() {
            return Err(InvalidJobName::Start(first));
        }
        let fits = |character: &char| character.is_ascii_alphanumeric() || "-_.".contains(*character);
        if let Some(other) = text.chars().find(|character| !fits(character)) {
            return Err(InvalidJobName::Character(other));
        }
        if text.len() > MAX_JOB_NAME_BYTES {
            return Err(InvalidJobName::TooLong(text.len()));
        }
        match text == LAST {
            true => Err(InvalidJobName::Reserved),
            false if is_like_a_uuid(&text) => Err(InvalidJobName::LikeUuid),
            false => Ok(Self(text)),
        }
    }
}

fn is_like_a_uuid(text: &str) -> bool {
    text.parse::<Uuid>().is_ok() || UuidPrefix::parse(text).is_some_and(|start| start.digits() >= UUID_DIGITS)
}

impl FromStr for JobName {
    type Err = InvalidJobName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for JobName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<JobName> for String {
    fn from(name: JobName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_bounded_length_and_alphabet() {
        let longest = format!("a{}", "-".repeat(99));
        for name in
            ["a", "train", "Train_v1.2-b", "cafe", "abcdef1", "last1", "Last", "abcdef1g", longest.as_str()]
        {
            assert_eq!(name.parse::<JobName>().as_ref().map(JobName::as_str), Ok(name));
        }
        for (name, error) in [
            ("", InvalidJobName::Empty),
            (format!("{longest}-").as_str(), InvalidJobName::TooLong(101)),
            ("12", InvalidJobName::Start('1')),
            ("-a", InvalidJobName::Start('-')),
            ("åse", InvalidJobName::Start('å')),
            ("a b", InvalidJobName::Character(' ')),
            ("a/b", InvalidJobName::Character('/')),
            ("a:b", InvalidJobName::Character(':')),
            ("aå", InvalidJobName::Character('å')),
            ("last", InvalidJobName::Reserved),
            ("abcdef12", InvalidJobName::LikeUuid),
            ("DEADBEEF", InvalidJobName::LikeUuid),
            ("abcdef12-", InvalidJobName::LikeUuid),
            ("deadbeefcafe", InvalidJobName::LikeUuid),
            ("af0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a", InvalidJobName::LikeUuid),
        ] {
            assert_eq!(name.parse::<JobName>(), Err(error), "{name}");
        }
    }
}
