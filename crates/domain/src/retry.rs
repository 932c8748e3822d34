//! Automatic retries: which failed attempts are followed by another, and when.

use std::time::Duration;

use mitosis_protocol::job::TaskOutcome;
use mitosis_protocol::retry::{RetryCause, RetryPolicy};
use mitosis_protocol::{TaskResult, TaskResultMessage, Termination};

use crate::task::{ExecEnd, outcome};

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCause {
    /// The command exited with this code.
    Exit(u8),
    /// A signal ended the command.
    Signal(u8),
    /// The command reached its timeout.
    Timeout,
    /// The command did not start.
    Start,
    /// The output could not be stored, or was too long.
    Output,
    /// The command used more memory than it may.
    Oom,
}

impl FailureCause {
    /// The cause of the failure of an attempt; none if it succeeded, or if a user cancelled the task.
    pub fn of(end: ExecEnd, result: TaskResult) -> Option<Self> {
        use TaskResultMessage as M;
        match outcome(end, result) {
            TaskOutcome::Succeeded | TaskOutcome::Cancelled => return None,
            TaskOutcome::TimedOut => return Some(Self::Timeout),
            TaskOutcome::Failed => {}
        }
        match (result.msg, result.exit_status.termination()) {
            (Some(M::UploadResultTimeout | M::OutputLimit), _) => Some(Self::Output),
            (Some(M::OutOfMemory), _) => Some(Self::Oom),
            (Some(M::WorkersLost), _) => None,
            (None, Termination::Exited(code @ 1..)) => Some(Self::Exit(code)),
            (None, Termination::Signalled(signal)) => Some(Self::Signal(signal)),
            (Some(_), _) | (None, Termination::Exited(0)) => Some(Self::Start),
        }
    }

    /// Whether a policy names this cause.
    fn is_named_by(self, named: &RetryCause) -> bool {
        match (named, self) {
            (RetryCause::Any, _)
            | (RetryCause::Signal, Self::Signal(_))
            | (RetryCause::Timeout, Self::Timeout)
            | (RetryCause::Start, Self::Start)
            | (RetryCause::Output, Self::Output)
            | (RetryCause::Oom, Self::Oom) => true,
            (RetryCause::Exit(codes), Self::Exit(code)) => {
                codes.is_empty() || codes.iter().any(|(from, to)| (*from..=*to).contains(&code))
            }
            _ => false,
        }
    }
}

/// The wait before the next attempt; none if there is none. `used` is the number of earlier retries by the policy.
pub fn next_attempt(policy: &RetryPolicy, cause: FailureCause, used: u32) -> Option<Duration> {
    let is_named = policy.on.is_empty() || policy.on.iter().any(|named| cause.is_named_by(named));
    if !is_named || used >= policy.retries {
        return None;
    }
    let doubled = policy.backoff.saturating_mul(1_u32.checked_shl(used).unwrap_or(u32::MAX));
    Some(doubled.min(policy.max_backoff))
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::WaitStatus;
    use mitosis_protocol::retry::MAX_BACKOFF;

    use super::*;

    fn policy(retries: u32, on: &[&str]) -> RetryPolicy {
        let on = on.iter().map(|cause| cause.parse().unwrap()).collect();
        RetryPolicy { retries, on, backoff: Duration::from_secs(5), max_backoff: Duration::from_secs(60) }
    }

    #[test]
    fn cause_follows_the_end_and_its_reason() {
        let exited = |code| TaskResult { exit_status: WaitStatus::exited(code), msg: None };
        let with = |msg| TaskResult { exit_status: WaitStatus::exited(0), msg: Some(msg) };
        let killed = TaskResult { exit_status: WaitStatus::signalled(9), msg: None };
        let not_started =
            TaskResult { exit_status: WaitStatus::exited(127), msg: Some(TaskResultMessage::SpawnFailed) };
        for (end, result, cause) in [
            (ExecEnd::Finished, exited(0), None),
            (ExecEnd::Finished, exited(3), Some(FailureCause::Exit(3))),
            (ExecEnd::Finished, killed, Some(FailureCause::Signal(9))),
            (ExecEnd::Cancelled, with(TaskResultMessage::ExecTimeout), Some(FailureCause::Timeout)),
            (ExecEnd::Cancelled, with(TaskResultMessage::ResourceNotFound), Some(FailureCause::Start)),
            (ExecEnd::Finished, with(TaskResultMessage::UploadResultTimeout), Some(FailureCause::Output)),
            (ExecEnd::Cancelled, with(TaskResultMessage::OutputLimit), Some(FailureCause::Output)),
            (ExecEnd::Cancelled, with(TaskResultMessage::OutOfMemory), Some(FailureCause::Oom)),
            (ExecEnd::Finished, not_started, Some(FailureCause::Start)),
            (ExecEnd::Cancelled, with(TaskResultMessage::UserCancellation), None),
            (ExecEnd::Cancelled, with(TaskResultMessage::WorkersLost), None),
        ] {
            assert_eq!(FailureCause::of(end, result), cause, "{end:?} {result:?}");
        }
    }

    #[test]
    fn only_named_causes_are_retried() {
        let is_retried = |on: &[&str], cause| next_attempt(&policy(1, on), cause, 0).is_some();
        let all = [
            FailureCause::Exit(1),
            FailureCause::Signal(9),
            FailureCause::Timeout,
            FailureCause::Start,
            FailureCause::Output,
            FailureCause::Oom,
        ];
        for cause in all {
            assert!(is_retried(&[], cause) && is_retried(&["any"], cause), "{cause:?}");
        }
        for (place, word) in ["exit", "signal", "timeout", "start", "output", "oom"].iter().enumerate() {
            let retried: Vec<_> = all.into_iter().filter(|cause| is_retried(&[word], *cause)).collect();
            assert_eq!(retried, [all[place]], "{word}");
        }
        assert!(is_retried(&["timeout", "exit=1,75-78"], FailureCause::Exit(76)));
        assert!(!is_retried(&["timeout", "exit=1,75-78"], FailureCause::Exit(2)));
    }

    #[test]
    fn wait_doubles_up_to_its_limit() {
        let waits = |policy: &RetryPolicy| -> Vec<Option<u64>> {
            (0..6).map(|used| Some(next_attempt(policy, FailureCause::Exit(1), used)?.as_secs())).collect()
        };
        let expected = [Some(5), Some(10), Some(20), Some(40), Some(60), None];
        assert_eq!(waits(&policy(5, &[])), expected);
        assert_eq!(waits(&policy(0, &[])), [None; 6]);
        let longest = RetryPolicy { retries: 1_000, max_backoff: MAX_BACKOFF, ..policy(0, &[]) };
        assert_eq!(next_attempt(&longest, FailureCause::Timeout, 999), Some(MAX_BACKOFF));
    }
}
