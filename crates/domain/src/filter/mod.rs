//! The language for selecting tasks, on the command line and over HTTP: `state=running label=exp1 exit!=0
//! created>-2h priority>=5`.
//!
//! A filter is a list of conditions separated by blanks, all of which must hold. A value with a blank or a
//! quote is written in double quotes, in which a backslash escapes the next character.

mod condition;
mod fields;
mod word;

use std::fmt;

use mitosis_protocol::{TaskState, Timestamp, Uuid};

use crate::comparison::{Comparison, Operator};

/// A parsed filter. Conditions on the same field that can't be joined are in `also`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// `group=lab`
    pub group: Option<String>,
    /// `creator=ann,raj`: submitted by one of these users.
    pub creators: Option<Vec<String>>,
    /// `state=ready,running`: in one of these states.
    pub states: Option<Vec<TaskState>>,
    /// `tag=gpu`: with all of these tags.
    pub tags: Vec<String>,
    /// `label=exp1`: with all of these labels.
    pub labels: Vec<String>,
    /// All other conditions.
    pub also: Vec<Condition>,
}

/// A condition on one number, one time or one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// `priority>=5`
    Priority(Comparison),
    /// `exit!=0`: the exit code as a shell shows it, with 128 plus the number for a signal. A task that has not
    /// ended never matches.
    ExitCode(Comparison),
    /// `created>-2h`: submitted after or before a moment.
    Created(Moment),
    /// `finished<2031-02-09`: ended before or after a moment. A task that has not ended never matches.
    Finished(Moment),
    /// `id=…`
    Id(Uuid),
}

/// Before or after a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The operator; never `=` or `!=`, which are useless for times.
    pub operator: Operator,
    /// The point in time.
    pub at: Timestamp,
}

/// An invalid filter. The message names the invalid word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("in the filter, `{word}` {why}")]
pub struct InvalidFilter {
    word: String,
    /// The offset of the word in bytes.
    at: usize,
    why: Why,
}

/// What is wrong with a word.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    NotClosed,
    NoCondition,
    NoSuchKey,
    NoValue,
    NotComparable,
    NoSuchState,
    NoNumber,
    NoTime,
    NoUuid,
    TwoGroups,
}

impl InvalidFilter {
    /// The offset of the invalid word in bytes.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// What to write instead.
    pub const fn hint(&self) -> &'static str {
        match self.why {
            Why::NotClosed => "close the double quote, or write \\\" for one that is meant",
            Why::NoCondition => "write conditions like state=running, exit!=0 or created>-2h",
            Why::NoSuchKey => {
                "the keys are state, label, tag, creator, group, priority, exit, created, finished and id"
            }
            Why::NoValue => "give it a value, as in label=exp1",
            Why::NotComparable => {
                "only priority, exit, created and finished can be compared; use = for this key"
            }
            Why::NoSuchState => "the states are pending, ready, running, finished and cancelled",
            Why::NoNumber => "write a whole number, as in priority>=5",
            Why::NoTime => {
                "write -2h for two hours ago, 2031-02-09, or 2031-02-09T17:04:05Z, with <, <=, > or >= before it"
            }
            Why::NoUuid => "write the whole UUID",
            Why::TwoGroups => "a filter is about one group; ask once for each",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotClosed => "has a quote that is not closed",
            Self::NoCondition => "is no condition",
            Self::NoSuchKey => "starts with a key that does not exist",
            Self::NoValue => "has no value",
            Self::NotComparable => "compares what can't be compared like that",
            Self::NoSuchState => "names a state that does not exist",
            Self::NoNumber => "compares with something that is no number",
            Self::NoTime => "compares with something that is no time",
            Self::NoUuid => "is no UUID",
            Self::TwoGroups => "names another group than before",
        })
    }
}

impl Filter {
    /// Parses a filter. `now` is the origin of relative times such as `-2h`.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, InvalidFilter> {
        let mut filter = Self::default();
        for word in word::words(text)? {
            filter.add(&word, now).map_err(|why| word.wrong(why))?;
        }
        Ok(filter)
    }

    /// Whether a word of a command line is meant as a condition, not as the name of a task.
    pub fn is_condition(word: &str) -> bool {
        word.contains(['=', '<', '>'])
    }

    /// Whether the filter has no conditions.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests;
