//! What to do when a worker has ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::wire::State;
use crate::process::exit::Exit;

/// The first pause before a worker is started again; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A worker that ran for so long is not failing over and over.
const WELL: Duration = Duration::from_secs(60);

/// How a worker's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Exited(u8),
    Killed(i32),
    /// There was no process at all.
    NotStarted(String),
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing, and this is where it stands.
    Over(State),
    /// Another start after a pause; so many failures in a row until now.
    Again { pause: Duration, failures: u32 },
}

/// Decides. `failures` are those in a row before this one.
pub(super) fn next(end: &End, ran: Duration, failures: u32) -> Next {
    match end {
        // Asked to stop, or removed by the coordinator.
        End::Exited(0) => Next::Over(State::Ended),
        // So it is when it was asked before it could listen.
        End::Killed(signal) if [Signal::SIGTERM as i32, Signal::SIGINT as i32].contains(signal) => {
            Next::Over(State::Ended)
        }
        // It would say the same again: a wrong password, a configuration that can't be used.
        End::Exited(code)
            if [Exit::Usage, Exit::Auth, Exit::Forbidden, Exit::Config]
                .iter()
                .any(|exit| *exit as u8 == *code) =>
        {
            Next::Over(State::Failed)
        }
        End::Exited(_) | End::Killed(_) | End::NotStarted(_) => {
            let before = if ran >= WELL { 0 } else { failures };
            Next::Again { pause: pause(before), failures: before.saturating_add(1) }
        }
    }
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2u32.saturating_pow(failures)).min(LONGEST_PAUSE)
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, signal) => Self::Killed(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit {code}"),
            Self::Killed(signal) => match Signal::try_from(*signal) {
                Ok(signal) => write!(f, "{signal}"),
                Err(_) => write!(f, "signal {signal}"),
            },
            Self::NotStarted(why) => write!(f, "not started: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(10);

    #[test]
    fn a_worker_that_was_stopped_or_removed_stays_away() {
        for end in [End::Exited(0), End::Killed(15), End::Killed(2)] {
            assert_eq!(next(&end, MOMENT, 3), Next::Over(State::Ended), "{end}");
        }
    }

    #[test]
    fn a_worker_that_can_not_succeed_is_not_tried_again() {
        for code in [2, 67, 77, 78] {
            assert_eq!(next(&End::Exited(code), MOMENT, 0), Next::Over(State::Failed), "{code}");
        }
    }

    #[test]
    fn a_worker_that_fails_again_and_again_is_given_more_and_more_time() {
        let mut failures = 0;
        let mut pauses = Vec::new();
        for end in [End::Exited(70), End::Killed(9), End::Exited(101), End::NotStarted("gone".into())] {
            let Next::Again { pause, failures: more } = next(&end, MOMENT, failures) else {
                panic!("{end} is a failure");
            };
            failures = more;
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8]);
        let late = next(&End::Exited(70), MOMENT, u32::MAX);
        assert_eq!(late, Next::Again { pause: LONGEST_PAUSE, failures: u32::MAX });
    }

    #[test]
    fn failures_before_a_good_time_are_forgotten() {
        assert_eq!(next(&End::Killed(9), WELL, 6), Next::Again { pause: FIRST_PAUSE, failures: 1 });
    }
}
