//! Selectors of one task: its UUID, the start of its UUID, its number in a group, or `last`.

use mitosis_protocol::Uuid;

/// The fewest digits of a UUID that select a task.
pub const LEAST_DIGITS: usize = 4;

/// Selects one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// A full UUID.
    Uuid(Uuid),
    /// The start of a UUID, as the range of UUIDs that begin with it.
    Prefix(Uuid, Uuid),
    /// `lab-42` or `lab/42`: the number within a group.
    Number(String, i64),
    /// `last`: the caller's newest task.
    Last,
}

/// A text that is not a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid task selector `{0}`")]
pub struct InvalidSelector(String);

impl InvalidSelector {
    /// How to write a selector.
    pub const HINT: &'static str =
        "write a UUID or at least 4 hex digits of its start, GROUP-NUMBER such as ann-42, or `last`";

    /// How to write a selector or a condition.
    pub const HINT_WITH_CONDITIONS: &'static str = "write a UUID or at least 4 hex digits of its start, GROUP-NUMBER \
        such as ann-42, `last`, or a condition such as state=running";
}

impl std::str::FromStr for Selector {
    type Err = InvalidSelector;

    /// The start of a UUID has precedence over a group of that name; `GROUP/NUMBER` is never a UUID.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "last" {
            return Ok(Self::Last);
        }
        if let Ok(uuid) = text.parse() {
            return Ok(Self::Uuid(uuid));
        }
        prefix(text).or_else(|| number(text)).ok_or_else(|| InvalidSelector(text.to_owned()))
    }
}

fn prefix(text: &str) -> Option<Selector> {
    // The positions of the hyphens in a UUID.
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let fits = text.char_indices().all(|(place, character)| match HYPHENS.contains(&place) {
        true => character == '-',
        false => character.is_ascii_hexdigit(),
    });
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    if !fits || !(LEAST_DIGITS..32).contains(&digits.len()) {
        return None;
    }
    let filled = |with: char| {
        let missing = std::iter::repeat_n(with, 32 - digits.len());
        Uuid::parse_str(&digits.chars().chain(missing).collect::<String>()).ok()
    };
    Some(Selector::Prefix(filled('0')?, filled('f')?))
}

fn number(text: &str) -> Option<Selector> {
    let (group, number) = text.rsplit_once(['-', '/'])?;
    let number: i64 = number.parse().ok()?;
    (!group.is_empty() && number > 0).then(|| Selector::Number(group.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_has_several_selectors() {
        let uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
        assert_eq!(uuid.parse(), Ok(Selector::Uuid(uuid.parse().unwrap())));
        assert_eq!("last".parse(), Ok(Selector::Last));
        for (text, group, number) in
            [("ann-42", "ann", 42), ("my-lab-7", "my-lab", 7), ("3f0c9a3e/7", "3f0c9a3e", 7)]
        {
            assert_eq!(text.parse(), Ok(Selector::Number(group.into(), number)));
        }
        for prefix in ["3f0c", "3f0c9a3e", "3F0C9A3E-", "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4"] {
            let Ok(Selector::Prefix(first, last)) = prefix.parse() else { panic!("{prefix}") };
            let low = prefix.to_lowercase();
            assert!(first.to_string().starts_with(&low) && last.to_string().starts_with(&low), "{prefix}");
            assert!((first..=last).contains(&uuid.parse::<Uuid>().unwrap()));
        }
        for nothing in ["", "3f0", "xyz", "ann-", "-4", "ann-0", "ann--1x", "ann-1.5", "LAST"] {
            assert!(nothing.parse::<Selector>().is_err(), "{nothing}");
        }
    }
}
