//! The execution state of a task on a worker (semantics §6): names in JSON, integers in Redis.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The execution state of a task on a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[repr(i32)]
pub enum ExecState {
    /// The worker exited.
    WorkerExited = -1,
    /// Downloading resources.
    FetchResource = 1,
    /// All resources exist; never announced.
    FetchResourceFinished = 2,
    /// A download failed.
    FetchResourceError = 3,
    /// A download took too long.
    FetchResourceTimeout = 4,
    /// A resource does not exist.
    FetchResourceNotFound = 5,
    /// A resource could not be read.
    FetchResourceForbidden = 6,
    /// Waiting for the watched task.
    Watch = 7,
    /// The watched task has reached the target state; never announced.
    WatchFinished = 8,
    /// The watched task did not reach the target state in time.
    WatchTimeout = 9,
    /// About to start the command.
    ExecPending = 10,
    /// The command runs.
    ExecSpawned = 11,
    /// The command ended by itself.
    ExecFinished = 12,
    /// The command was killed at its timeout.
    ExecTimeout = 13,
    /// Packing and uploading artifacts.
    UploadResult = 14,
    /// Uploading after the command ended by itself.
    UploadFinishedResult = 15,
    /// Uploading after the command was killed.
    UploadCancelledResult = 16,
    /// Artifacts are stored.
    UploadResultFinished = 17,
    /// Uploading took too long.
    UploadResultTimeout = 18,
    /// The task has ended.
    TaskCommitted = 19,
    /// Any other number.
    Unknown = -99,
}

impl ExecState {
    /// All states, in the order of their phases.
    pub const ALL: [Self; 21] = [
        Self::WorkerExited,
        Self::FetchResource,
        Self::FetchResourceFinished,
        Self::FetchResourceError,
        Self::FetchResourceTimeout,
        Self::FetchResourceNotFound,
        Self::FetchResourceForbidden,
        Self::Watch,
        Self::WatchFinished,
        Self::WatchTimeout,
        Self::ExecPending,
        Self::ExecSpawned,
        Self::ExecFinished,
        Self::ExecTimeout,
        Self::UploadResult,
        Self::UploadFinishedResult,
        Self::UploadCancelledResult,
        Self::UploadResultFinished,
        Self::UploadResultTimeout,
        Self::TaskCommitted,
        Self::Unknown,
    ];

    /// The integer on Redis.
    pub const fn as_i32(self) -> i32 {
        self as i32
    }

    /// The state of an integer; [`ExecState::Unknown`] for numbers without a name.
    pub fn from_i32(value: i32) -> Self {
        Self::ALL.into_iter().find(|state| state.as_i32() == value).unwrap_or(Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_round_trips_through_its_number() {
        for state in ExecState::ALL {
            assert_eq!(ExecState::from_i32(state.as_i32()), state);
        }
        assert_eq!(ExecState::from_i32(42), ExecState::Unknown);
        assert_eq!(serde_json::to_string(&ExecState::ExecFinished).unwrap(), "\"ExecFinished\"");
    }
}
