//! The numbers of enum variants in rows, the same in both databases.
//!
//! A number never changes its meaning, since existing databases contain it. Reading a number without a meaning
//! is an error, never a default. Comments in the migrations, which can't be changed, call this file `code.rs`.

use std::time::Duration;

use mitosis_domain::task::ExecEnd;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::job::{NeedKind, StopCause, TaskCondition, TaskOutcome};
use mitosis_protocol::notify::NotifyOn;
use mitosis_protocol::schedule::{CatchUp, Overlap, RunOutcome};
use mitosis_protocol::tokens::TokenScope;
use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{ArtifactKind, Role, TaskResultMessage, TaskSpec, TaskState};

use crate::StoreError;
use crate::ops::artifacts::Place;
use crate::ops::reaper::ReapReason;
use crate::ops::workers::Departure;
use crate::shared::jobs::reopen::RetriedBy;
use crate::shared::webhooks::WebhookEnd;

/// Converts a duration to its stored form, whole microseconds.
pub(crate) fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

/// Returns the stored form of how long a task tolerates a silent worker: NULL if it has no limit of its own, 0
/// if it may run twice at the same time.
pub(crate) fn silence_limit(spec: &TaskSpec) -> Option<i64> {
    match spec.idempotent {
        true => Some(0),
        false => spec.lost_after.map(micros),
    }
}

/// Converts a stored duration, written with [`micros`].
pub(crate) fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// An enum whose variants are stored as numbers.
pub(crate) trait Code: Sized + Copy {
    /// The number that is stored.
    fn code(self) -> i16;

    /// The variant of a stored number.
    fn from_code(code: i16) -> Result<Self, UnknownCode>;
}

/// A stored number without a meaning: this program did not write the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{code} is not a valid {name}")]
pub(crate) struct UnknownCode {
    name: &'static str,
    code: i16,
}

impl From<UnknownCode> for StoreError {
    fn from(unknown: UnknownCode) -> Self {
        Self::Unexpected(Box::new(unknown))
    }
}

macro_rules! codes {
    ($($name:ident { $($variant:ident = $code:literal),* $(,)? })*) => {$(
        impl Code for $name {
            fn code(self) -> i16 {
                match self { $(Self::$variant => $code,)* }
            }

            fn from_code(code: i16) -> Result<Self, UnknownCode> {
                match code {
                    $($code => Ok(Self::$variant),)*
                    _ => Err(UnknownCode { name: stringify!($name), code }),
                }
            }
        }
    )*};
}

codes! {
    Role { Read = 0, Write = 1, Admin = 2 }
    AccountState { Active = 0, Locked = 1, Deleted = 2 }
    WorkerState { Normal = 0, GracefulShutdown = 1 }
    // In no row: the order in which candidates come.
    ReapReason {
        Silent = 0,
        Overdue = 1,
        TaskLimit = 2,
    }
    Departure { Removed = 0, Expired = 1 }
    TaskState { Pending = 0, Ready = 1, Running = 2, Finished = 3, Cancelled = 4, Unknown = 5 }
    // The same numbers as the states they lead to.
    ExecEnd { Finished = 3, Cancelled = 4 }
    TokenScope { Read = 0, Write = 1, Admin = 2 }
    StopCause { Cancelled = 0, MaxFailures = 1, Expired = 2, DependencyFailed = 3 }
    // The statements and an index name the number of `Each`.
    NeedKind { Succeeded = 0, Ended = 1, Each = 2 }
    RetriedBy { User = 0, Policy = 1, Loss = 2 }
    Overlap { Skip = 0, Queue = 1, Replace = 2 }
    CatchUp { None = 0, One = 1, All = 2 }
    RunOutcome { Submitted = 0, Skipped = 1, Missed = 2, Refused = 3, Failed = 4 }
    NotifyOn { End = 0, Failure = 1 }
    WebhookEnd { Delivered = 0, Failed = 1 }
    // In no row: computed from the columns of `done`.
    TaskCondition { Waiting = 0, Running = 1, Succeeded = 2, Failed = 3, TimedOut = 4, Cancelled = 5 }
    // The same numbers as the conditions.
    TaskOutcome { Succeeded = 2, Failed = 3, TimedOut = 4, Cancelled = 5 }
    Place { ObjectStore = 0, Inline = 1, Packed = 2 }
    ArtifactKind { Result = 0, ExecLog = 1, StdLog = 2 }
    TaskResultMessage {
        FetchResourceTimeout = 0,
        ExecTimeout = 1,
        UploadResultTimeout = 2,
        ResourceNotFound = 3,
        ResourceForbidden = 4,
        WatchTimeout = 5,
        UserCancellation = 6,
        SubmitNewTaskFailed = 7,
        WorkersLost = 8,
        DirectoryUnavailable = 9,
        DependencyFailed = 10,
        OutOfMemory = 11,
        OutputLimit = 12,
        SpawnFailed = 13,
    }
}

/// The place of a priority in the `neg_priority` column, where the smallest goes first. It is the
/// complement and not the negation, which does not exist for the least priority.
pub(crate) const fn neg_priority(priority: i32) -> i32 {
    !priority
}

/// A number of rows for `LIMIT` and `OFFSET`, which are signed.
pub(crate) fn row_count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_converted_back_and_unknown_ones_refused() {
        for role in [Role::Read, Role::Write, Role::Admin] {
            assert_eq!(Role::from_code(role.code()), Ok(role));
        }
        assert_eq!(ExecEnd::Finished.code(), TaskState::Finished.code());
        assert_eq!(ExecEnd::Cancelled.code(), TaskState::Cancelled.code());
        assert_eq!(Role::from_code(3).unwrap_err().to_string(), "3 is not a valid Role");
    }

    #[test]
    fn negated_priorities_sort_over_the_whole_range() {
        let order = [i32::MAX, 7, 0, -1, i32::MIN].map(neg_priority);
        assert!(order.is_sorted(), "{order:?}");
    }
}
