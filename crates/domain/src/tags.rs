//! Sets of tags or labels.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::limits;

/// A sorted set of tags or labels. Tags decide where a task may run; labels only help to find it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TagSet(BTreeSet<String>);

/// An invalid set of tags or labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTagSet {
    /// The set has too many elements.
    #[error("there are {0} different tags or labels, the limit is {limit}", limit = limits::MAX_TAGS)]
    TooMany(usize),
    /// A tag or label is too long.
    #[error("a tag or label has at most {limit} bytes, `{0}…` has more", limit = limits::MAX_TAG_BYTES)]
    TooLong(String),
    /// A tag or label is empty.
    #[error("a tag or label can't be empty")]
    Empty,
    /// A tag or label contains a control character, which databases and terminals can't handle.
    #[error("a tag or label can't contain control characters, {0:?} does")]
    Control(String),
}

impl TagSet {
    /// Checks each tag or label, drops duplicates and sorts them.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(tags: I) -> Result<Self, InvalidTagSet> {
        let set: BTreeSet<String> = tags.into_iter().map(Into::into).collect();
        if set.len() > limits::MAX_TAGS {
            return Err(InvalidTagSet::TooMany(set.len()));
        }
        for tag in &set {
            if tag.is_empty() {
                return Err(InvalidTagSet::Empty);
            }
            if tag.len() > limits::MAX_TAG_BYTES {
                return Err(InvalidTagSet::TooLong(tag.chars().take(32).collect()));
            }
            if tag.chars().any(char::is_control) {
                return Err(InvalidTagSet::Control(tag.clone()));
            }
        }
        Ok(Self(set))
    }

    /// The tags or labels in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags or labels in order, owned.
    pub fn to_vec(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }

    /// Whether a worker that offers `offered` may run a task with these tags (semantics §5).
    pub fn all_in(&self, offered: &Self) -> bool {
        self.0.is_subset(&offered.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> TagSet {
        TagSet::new(text.split_whitespace()).unwrap()
    }

    #[test]
    fn task_runs_where_all_its_tags_are_offered() {
        assert!(tags("gpu").all_in(&tags("eu gpu")));
        assert!(tags("").all_in(&tags("")));
        assert!(tags("").all_in(&tags("eu")));
        assert!(!tags("gpu eu").all_in(&tags("gpu")));
        assert!(!tags("gpu").all_in(&tags("")));
    }

    #[test]
    fn invalid_tags_are_refused() {
        assert_eq!(TagSet::new([""]), Err(InvalidTagSet::Empty));
        assert!(matches!(TagSet::new(["a\0b"]), Err(InvalidTagSet::Control(_))));
        assert!(matches!(TagSet::new(["x".repeat(1 << 20)]), Err(InvalidTagSet::TooLong(_))));
        assert!(matches!(TagSet::new((0..1000).map(|n| n.to_string())), Err(InvalidTagSet::TooMany(1000))));
        assert_eq!(TagSet::new(["b", "a", "b"]).unwrap().to_vec(), ["a", "b"]);
    }
}
