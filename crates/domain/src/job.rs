//! The state of a job: a function of the counts of its tasks and of what holds it up.

use mitosis_protocol::{JobCounts, JobState};

/// What keeps the tasks of a job from starting, apart from the tasks themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobControl {
    /// Whether a user has paused the job.
    pub pause: Pause,
    /// Whether the tasks of the job may start.
    pub start: Start,
}

/// Whether a user has paused a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pause {
    /// The job was not paused, or was resumed.
    #[default]
    Resumed,
    /// The job is paused: no task starts.
    Paused,
}

/// Whether the tasks of a job may start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// They may start.
    #[default]
    Due,
    /// The whole job waits for another job or for its start time.
    Held,
}

/// Derives the state of a job. It has ended exactly if no task is waiting, blocked or running.
pub fn state(counts: &JobCounts, control: JobControl) -> JobState {
    let is_held = control.start == Start::Held || counts.waiting == 0;
    if counts.unfinished() == 0 {
        outcome(counts)
    } else if control.pause == Pause::Paused {
        JobState::Paused
    } else if counts.running > 0 || counts.ended() > 0 {
        JobState::Running
    } else if is_held {
        JobState::Blocked
    } else {
        JobState::Waiting
    }
}

/// The state of a job whose tasks have all ended.
fn outcome(counts: &JobCounts) -> JobState {
    if counts.failed > 0 || counts.timed_out > 0 {
        JobState::Failed
    } else if counts.cancelled > 0 {
        JobState::Cancelled
    } else {
        JobState::Succeeded
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FREE: JobControl = JobControl { pause: Pause::Resumed, start: Start::Due };
    const PAUSED: JobControl = JobControl { pause: Pause::Paused, start: Start::Due };
    const HELD: JobControl = JobControl { pause: Pause::Resumed, start: Start::Held };
    const PAUSED_AND_HELD: JobControl = JobControl { pause: Pause::Paused, start: Start::Held };

    /// Waiting, blocked, running, succeeded, failed, cancelled and timed-out tasks.
    fn counts([waiting, blocked, running, succeeded, failed, cancelled, timed_out]: [u64; 7]) -> JobCounts {
        JobCounts { waiting, blocked, running, succeeded, failed, cancelled, timed_out }
    }

    #[test]
    fn state_follows_from_the_counts() {
        use JobState as S;
        for (tasks, control, expected) in [
            // Waiting, blocked, running, succeeded, failed, cancelled, timed out.
            ([0, 0, 0, 0, 0, 0, 0], FREE, S::Succeeded),
            ([0, 0, 0, 9, 0, 0, 0], FREE, S::Succeeded),
            ([0, 0, 0, 9, 0, 1, 0], FREE, S::Cancelled),
            ([0, 0, 0, 0, 0, 9, 0], FREE, S::Cancelled),
            ([0, 0, 0, 9, 1, 1, 0], FREE, S::Failed),
            ([0, 0, 0, 9, 0, 1, 1], FREE, S::Failed),
            ([0, 0, 0, 9, 0, 0, 0], PAUSED_AND_HELD, S::Succeeded),
            ([9, 0, 0, 0, 0, 0, 0], FREE, S::Waiting),
            ([1, 9, 0, 0, 0, 0, 0], FREE, S::Waiting),
            ([0, 9, 0, 0, 0, 0, 0], FREE, S::Blocked),
            ([9, 0, 0, 0, 0, 0, 0], HELD, S::Blocked),
            ([0, 0, 1, 0, 0, 0, 0], FREE, S::Running),
            ([9, 9, 1, 0, 0, 0, 0], FREE, S::Running),
            ([9, 0, 0, 1, 0, 0, 0], FREE, S::Running),
            ([0, 9, 0, 0, 1, 0, 0], FREE, S::Running),
            ([9, 0, 0, 0, 0, 1, 0], FREE, S::Running),
            ([9, 0, 0, 0, 0, 0, 1], HELD, S::Running),
            ([9, 0, 0, 0, 0, 0, 0], PAUSED, S::Paused),
            ([0, 9, 0, 0, 0, 0, 0], PAUSED_AND_HELD, S::Paused),
            ([9, 0, 0, 1, 1, 1, 1], PAUSED, S::Paused),
            ([9, 0, 1, 0, 0, 0, 0], PAUSED, S::Paused),
            ([0, 0, 1, 9, 0, 0, 0], PAUSED, S::Paused),
        ] {
            assert_eq!(state(&counts(tasks), control), expected, "{tasks:?} {control:?}");
        }
    }

    /// Small counts, so that each is often zero; sometimes the largest one.
    fn any_count() -> impl Strategy<Value = u64> {
        prop_oneof![4 => Just(0), 3 => 1..4u64, 1 => Just(u64::MAX)]
    }

    prop_compose! {
        fn any_counts()(tasks in prop::array::uniform7(any_count())) -> JobCounts {
            let [waiting, blocked, running, succeeded, failed, cancelled, timed_out] = tasks;
            JobCounts { waiting, blocked, running, succeeded, failed, cancelled, timed_out }
        }
    }

    fn any_control() -> impl Strategy<Value = JobControl> {
        prop::sample::select(vec![FREE, PAUSED, HELD, PAUSED_AND_HELD])
    }

    proptest! {
        #[test]
        fn job_has_ended_when_all_its_tasks_have(counts in any_counts(), control in any_control()) {
            let all_ended = counts.waiting == 0 && counts.blocked == 0 && counts.running == 0;
            prop_assert_eq!(state(&counts, control).has_ended(), all_ended);
        }

        #[test]
        fn outcome_does_not_depend_on_a_pause(counts in any_counts(), control in any_control()) {
            let free = state(&counts, FREE);
            prop_assert!(!free.has_ended() || state(&counts, control) == free);
        }

        #[test]
        fn failed_job_has_a_failed_task(counts in any_counts(), control in any_control()) {
            let failed = state(&counts, control) == JobState::Failed;
            prop_assert!(!failed || counts.failed > 0 || counts.timed_out > 0);
            let succeeded = state(&counts, control) == JobState::Succeeded;
            prop_assert!(!succeeded || counts.ended() == counts.succeeded);
        }

        #[test]
        fn job_with_a_running_task_is_running_unless_paused(counts in any_counts(), control in any_control()) {
            let expected = match control.pause {
                Pause::Resumed => JobState::Running,
                Pause::Paused => JobState::Paused,
            };
            prop_assert!(counts.running == 0 || state(&counts, control) == expected);
        }
    }
}
