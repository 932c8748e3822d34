//! Selectors of the legacy-compatible commands: one task by its UUID, the start of its UUID, its number in a group, or
//! `last`.

use mitosis_protocol::Uuid;

use super::uuid_prefix::UuidPrefix;

/// Selects one task, independent of its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskSelector {
    /// A full UUID.
    Uuid(Uuid),
    /// The start of a UUID.
    Prefix(UuidPrefix),
    /// `lab-42` or `lab/42`: the number within a group.
    Number(String, i64),
    /// `last`: the caller's newest task.
    Last,
}

/// A text that is not a selector of a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid task selector `{0}`")]
pub struct InvalidTaskSelector(String);

impl InvalidTaskSelector {
    /// How to write a selector.
    pub const HINT: &'static str =
        "write a UUID or at least 4 hex digits of its start, GROUP-NUMBER such as ann-42, or `last`";

    /// How to write a selector or a condition.
    pub const HINT_WITH_CONDITIONS: &'static str = "write a UUID or at least 4 hex digits of its start, GROUP-NUMBER \
        such as ann-42, `last`, or a condition such as state=running";
}

impl std::str::FromStr for TaskSelector {
    type Err = InvalidTaskSelector;

    /// The start of a UUID has precedence over a group of that name; `GROUP/NUMBER` is never a UUID.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "last" {
            return Ok(Self::Last);
        }
        if let Ok(uuid) = text.parse() {
            return Ok(Self::Uuid(uuid));
        }
        let prefix = UuidPrefix::parse(text).map(Self::Prefix);
        prefix.or_else(|| number(text)).ok_or_else(|| InvalidTaskSelector(text.to_owned()))
    }
}

fn number(text: &str) -> Option<TaskSelector> {
    let (group, number) = text.rsplit_once(['-', '/'])?;
    let number: i64 = number.parse().ok()?;
    (!group.is_empty() && number > 0).then(|| TaskSelector::Number(group.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_has_several_selectors() {
        let uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
        assert_eq!(uuid.parse(), Ok(TaskSelector::Uuid(uuid.parse().unwrap())));
        assert_eq!("last".parse(), Ok(TaskSelector::Last));
        for (text, group, number) in
            [("ann-42", "ann", 42), ("my-lab-7", "my-lab", 7), ("3f0c9a3e/7", "3f0c9a3e", 7)]
        {
            assert_eq!(text.parse(), Ok(TaskSelector::Number(group.into(), number)));
        }
        for prefix in ["3f0c", "3f0c9a3e", "3F0C9A3E-", "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4"] {
            let Ok(TaskSelector::Prefix(start)) = prefix.parse() else { panic!("{prefix}") };
            assert!((start.first()..=start.last()).contains(&uuid.parse::<Uuid>().unwrap()));
        }
        for nothing in ["", "3f0", "xyz", "ann-", "-4", "ann-0", "ann--1x", "ann-1.5", "LAST"] {
            assert!(nothing.parse::<TaskSelector>().is_err(), "{nothing}");
        }
    }
}
