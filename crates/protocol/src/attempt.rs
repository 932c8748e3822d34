//! The numbers of an attempt, which prove that a report is about the attempt that holds the task.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of an attempt within its task, from 1. It fences: a report with the number of an earlier attempt is
/// stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl Epoch {
    /// Before the first attempt. A waiting task has the epoch of its last attempt, and an upload of a user belongs
    /// to no attempt.
    pub const ZERO: Self = Self(0);
    /// The first attempt.
    pub const FIRST: Self = Self(1);

    /// The epoch of the next attempt.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A random number that only the holder of an attempt knows. It proves that a report comes from the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseToken(pub i64);
