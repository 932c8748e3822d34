//! The attempts of a followed task: one after the other, each from its start.

use std::io::Write as _;

use mitosis_client::UserClient;
use mitosis_protocol::job::AttemptInfo;
use mitosis_protocol::output::FollowReply;
use mitosis_protocol::{TaskState, Uuid};

use crate::show::describe_attempt_end;
use crate::show::text::escaped_lines;
use crate::task_io::terminal_output::TerminalOutput;

/// Which attempt of a task is followed.
#[derive(Debug, Default)]
pub(super) struct FollowedAttempts {
    /// None until an attempt runs, and with a coordinator that does not number them.
    current: Option<i64>,
    /// Whether to say that the current attempt starts.
    is_further: bool,
}

impl FollowedAttempts {
    pub(super) fn current(&self) -> Option<i64> {
        self.current
    }

    /// The followed attempt, if it has ended and is not the last one.
    pub(super) fn ended(&self, reply: &FollowReply) -> Option<i64> {
        let (current, last) = (self.current?, reply.attempt?);
        let waits = matches!(reply.state, TaskState::Pending | TaskState::Ready);
        (last > current || (last == current && waits)).then_some(current)
    }

    /// Notes the attempt that runs. A further one is announced.
    pub(super) fn see(&mut self, reply: &FollowReply, streams: &mut TerminalOutput) {
        let Some(attempt) = reply.attempt else { return };
        let waits = matches!(reply.state, TaskState::Pending | TaskState::Ready);
        if waits || self.current.is_some_and(|current| attempt < current) {
            return;
        }
        self.current = Some(attempt);
        if std::mem::take(&mut self.is_further) {
            say(&format!("attempt {attempt} starts"), streams);
        }
    }

    /// Says how an attempt ended, and follows the next one. An attempt that was returned before it started is not mentioned.
    pub(super) async fn announce_end(
        &mut self,
        user: &UserClient,
        task: Uuid,
        attempt: i64,
        streams: &mut TerminalOutput,
    ) {
        self.current = Some(attempt + 1);
        if let Some(ended) = find(user, task, attempt).await {
            self.is_further = true;
            say(&describe_attempt_end(&ended), streams);
        }
    }
}

/// An ended attempt; none if it never started, or can't be read at the moment.
async fn find(user: &UserClient, task: Uuid, attempt: i64) -> Option<AttemptInfo> {
    let reply = user.attempts(task).await.ok()?;
    reply.attempts.into_iter().find(|ended| ended.attempt == attempt)
}

/// Prints a line between the output of two attempts. An error is ignored.
fn say(words: &str, streams: &mut TerminalOutput) {
    if streams.end().is_ok() && streams.announces_attempts() {
        let _ = streams.stderr.write_all(escaped_lines(&format!("mito: {words}\n")).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(state: TaskState, attempt: i64) -> FollowReply {
        FollowReply { state, attempt: Some(attempt), ..FollowReply::default() }
    }

    #[test]
    fn attempt_has_ended_when_the_task_waits_again_or_a_later_one_runs() {
        let mut attempts = FollowedAttempts::default();
        let mut streams = TerminalOutput::plain().quiet(true);
        assert_eq!(attempts.ended(&reply(TaskState::Ready, 1)), None, "nothing was followed yet");
        attempts.see(&reply(TaskState::Ready, 1), &mut streams);
        assert_eq!(attempts.current(), None);
        attempts.see(&reply(TaskState::Running, 2), &mut streams);
        assert_eq!(attempts.current(), Some(2));
        for (state, last, ended) in [
            (TaskState::Running, 2, None),
            (TaskState::Finished, 2, None),
            (TaskState::Ready, 2, Some(2)),
            (TaskState::Running, 3, Some(2)),
            (TaskState::Finished, 3, Some(2)),
        ] {
            assert_eq!(attempts.ended(&reply(state, last)), ended, "{state:?} {last}");
        }
    }

    #[test]
    fn coordinator_without_numbers_is_followed_as_before() {
        let (mut attempts, unnumbered) = (FollowedAttempts::default(), FollowReply::default());
        attempts.see(&unnumbered, &mut TerminalOutput::plain());
        assert_eq!((attempts.current(), attempts.ended(&unnumbered)), (None, None));
    }
}
