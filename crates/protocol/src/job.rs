//! Jobs: what one submission makes (native API).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The state of a job. It follows from the states of its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// No task can start yet: the job waits for another job or for its start time.
    Blocked,
    /// Tasks wait for a worker, and none has started.
    Waiting,
    /// At least one task has started, and at least one has not ended.
    Running,
    /// No task runs, and none starts until a user resumes the job.
    Paused,
    /// All tasks succeeded.
    Succeeded,
    /// All tasks have ended, and at least one failed or exceeded its timeout.
    Failed,
    /// All tasks have ended without a failure, and at least one was cancelled.
    Cancelled,
}

/// How many tasks of a job are in each state. Each task counts once, so the other counts sum to `size`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobCounts {
    /// All tasks of the job.
    pub size: u64,
    /// Tasks that wait for a worker.
    pub waiting: u64,
    /// Tasks that wait for another task or for a start time.
    pub blocked: u64,
    /// Tasks that a worker holds.
    pub running: u64,
    /// Tasks that ended with exit status 0.
    pub succeeded: u64,
    /// Tasks that failed: with another exit status, by a signal, or because they could not start.
    pub failed: u64,
    /// Tasks that were cancelled.
    pub cancelled: u64,
    /// Tasks that exceeded their timeout.
    pub timed_out: u64,
}

impl JobCounts {
    /// The number of tasks that have not ended.
    pub fn unfinished(&self) -> u64 {
        [self.waiting, self.blocked, self.running].into_iter().fold(0, u64::saturating_add)
    }

    /// The number of tasks that have ended.
    pub fn ended(&self) -> u64 {
        [self.succeeded, self.failed, self.cancelled, self.timed_out].into_iter().fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_in_lower_case() {
        use JobState as S;
        let all = [S::Blocked, S::Waiting, S::Running, S::Paused, S::Succeeded, S::Failed, S::Cancelled];
        assert_eq!(
            serde_json::to_string(&all).unwrap(),
            r#"["blocked","waiting","running","paused","succeeded","failed","cancelled"]"#
        );
    }
}
