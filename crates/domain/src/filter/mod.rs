//! The language for selecting tasks, on the command line and over HTTP: `state=running label=exp1 exit!=0
//! created>-2h priority>=5`.
//!
//! A filter is a list of conditions separated by blanks, all of which must hold. A value with a blank or a
//! quote is written in double quotes, in which a backslash escapes the next character.

mod condition;
mod legacy_fields;
mod term;

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

/// An invalid filter. The message names the invalid term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid condition `{term}`: {problem}")]
pub struct InvalidFilter {
    term: String,
    /// The offset of the term in bytes.
    at: usize,
    problem: Problem,
}

/// The reason why a term is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    UnclosedQuote,
    NotACondition,
    UnknownKey,
    MissingValue,
    UnsupportedOperator,
    UnknownState,
    NotANumber,
    NotATime,
    NotAUuid,
    SecondGroup,
}

impl InvalidFilter {
    /// The offset of the invalid term in bytes.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// What to write instead.
    pub const fn hint(&self) -> &'static str {
        match self.problem {
            Problem::UnclosedQuote => "close the double quote, or write \\\" for a literal one",
            Problem::NotACondition => "write conditions like state=running, exit!=0 or created>-2h",
            Problem::UnknownKey => {
                "the keys are state, label, tag, creator, group, priority, exit, created, finished and id"
            }
            Problem::MissingValue => "add a value, as in label=exp1",
            Problem::UnsupportedOperator => {
                "only priority, exit, created and finished can be compared; use = for other keys"
            }
            Problem::UnknownState => "the states are pending, ready, running, finished and cancelled",
            Problem::NotANumber => "write an integer, as in priority>=5",
            Problem::NotATime => {
                "write -2h for two hours ago, 2031-02-09, or 2031-02-09T17:04:05Z, with <, <=, > or >= before it"
            }
            Problem::NotAUuid => "write the full UUID",
            Problem::SecondGroup => "a filter selects tasks of one group; use one request for each group",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnclosedQuote => "the double quote is not closed",
            Self::NotACondition => "expected a key, an operator and a value",
            Self::UnknownKey => "unknown key",
            Self::MissingValue => "the value is missing",
            Self::UnsupportedOperator => "the key does not support this operator",
            Self::UnknownState => "unknown state",
            Self::NotANumber => "expected an integer",
            Self::NotATime => "expected a comparison with a time",
            Self::NotAUuid => "expected a UUID",
            Self::SecondGroup => "the filter already selects another group",
        })
    }
}

impl Filter {
    /// Parses a filter. `now` is the origin of relative times such as `-2h`.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, InvalidFilter> {
        let mut filter = Self::default();
        for term in term::terms(text)? {
            filter.add(&term, now).map_err(|problem| term.invalid(problem))?;
        }
        Ok(filter)
    }

    /// Whether an argument on the command line is a condition, as opposed to a task selector.
    pub fn is_condition(term: &str) -> bool {
        term.contains(['=', '<', '>'])
    }

    /// Whether the filter has no conditions.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests;
