//! Which tasks of a job are selected.

use std::fmt;
use std::str::FromStr;

use super::index_ranges::{IndexRanges, InvalidIndexRanges};

/// Tasks of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TaskSet {
    /// All of them.
    #[default]
    All,
    /// Those with these indices.
    Indices(IndexRanges),
    /// Those in a state.
    State(TaskStateFilter),
}

/// The states of tasks that a selector can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskStateFilter {
    /// Waiting for a worker.
    Waiting,
    /// Waiting for another task or for a start time.
    Blocked,
    /// A worker holds the task.
    Running,
    /// Ended with exit status 0.
    Succeeded,
    /// Ended in another way, including its timeout, and not cancelled.
    Failed,
    /// Cancelled.
    Cancelled,
    /// Succeeded, failed or cancelled.
    Ended,
    /// Waiting, blocked or running.
    Unfinished,
}

/// Why a text does not select tasks of a job. Each message says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTaskSet {
    /// The text is neither a list of indices nor a state.
    #[error(
        "invalid tasks `{0}`: write an index such as 7, ranges such as 1-50,60, or a state: {states}",
        states = TaskStateFilter::ALL.map(TaskStateFilter::as_str).join(", ")
    )]
    Form(String),
    /// The indices are invalid.
    #[error(transparent)]
    Indices(#[from] InvalidIndexRanges),
}

impl TaskStateFilter {
    /// All states, in the order of a task's life.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Blocked,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Ended,
        Self::Unfinished,
    ];

    /// The state as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Ended => "ended",
            Self::Unfinished => "unfinished",
        }
    }
}

impl FromStr for TaskSet {
    type Err = InvalidTaskSet;

    /// Parses indices or a state. No text means all tasks: that is a selector without a slash.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(Self::Indices(text.parse()?));
        }
        let state = TaskStateFilter::ALL.into_iter().find(|state| state.as_str() == text);
        state.map(Self::State).ok_or_else(|| InvalidTaskSet::Form(text.to_owned()))
    }
}

impl fmt::Display for TaskSet {
    /// Writes what [`Self::from_str`] reads; nothing for all tasks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Indices(ranges) => write!(f, "{ranges}"),
            Self::State(state) => write!(f, "{state}"),
        }
    }
}

impl fmt::Display for TaskStateFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_words_in_lower_case() {
        for state in TaskStateFilter::ALL {
            assert_eq!(state.to_string().parse(), Ok(TaskSet::State(state)));
        }
        for wrong in ["", "Failed", "fail", " failed", "-5", "*"] {
            assert_eq!(wrong.parse::<TaskSet>(), Err(InvalidTaskSet::Form(wrong.to_owned())));
        }
        let error = "finished".parse::<TaskSet>().unwrap_err().to_string();
        assert_eq!(
            error,
            "invalid tasks `finished`: write an index such as 7, ranges such as 1-50,60, or a state: waiting, blocked, \
             running, succeeded, failed, cancelled, ended, unfinished"
        );
    }
}
