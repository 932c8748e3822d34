//! Decides how to react to the exit of a worker.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::protocol::State;

/// First pause before a restart; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The maximum pause.
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// After this uptime, earlier failures no longer count.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// How a worker's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Exited(u8),
    Killed(i32),
    /// There was no process at all.
    NotStarted(String),
}

/// The reaction to an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The worker stays down, in this state.
    Finish(State),
    /// A restart after a pause; the worker has failed `failures` times in a row.
    Restart { pause: Duration, failures: u32 },
}

/// Decides how to react to an exit. `failures` counts the failures in a row before this one; `permanent` are exit codes
/// that a restart would repeat, such as the one for a wrong password.
pub(super) fn next(end: &End, ran: Duration, failures: u32, permanent: &[u8]) -> Next {
    match end {
        // Stopped, or removed by the coordinator.
        End::Exited(0) => Next::Finish(State::Ended),
        // Stopped before it handled signals.
        End::Killed(signal) if [Signal::SIGTERM as i32, Signal::SIGINT as i32].contains(signal) => {
            Next::Finish(State::Ended)
        }
        End::Exited(code) if permanent.contains(code) => Next::Finish(State::Failed),
        End::Exited(_) | End::Killed(_) | End::NotStarted(_) => {
            let before = if ran >= STABLE_AFTER { 0 } else { failures };
            Next::Restart { pause: pause(before), failures: before.saturating_add(1) }
        }
    }
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2u32.saturating_pow(failures)).min(MAX_PAUSE)
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
    const PERMANENT: &[u8] = &[2, 67, 77, 78];

    fn after(end: &End, ran: Duration, failures: u32) -> Next {
        next(end, ran, failures, PERMANENT)
    }

    #[test]
    fn stopped_or_removed_worker_stays_down() {
        for end in [End::Exited(0), End::Killed(15), End::Killed(2)] {
            assert_eq!(after(&end, MOMENT, 3), Next::Finish(State::Ended), "{end}");
        }
    }

    #[test]
    fn permanent_failure_is_not_restarted() {
        for code in PERMANENT {
            assert_eq!(after(&End::Exited(*code), MOMENT, 0), Next::Finish(State::Failed), "{code}");
        }
    }

    #[test]
    fn pauses_between_failures_double() {
        let mut failures = 0;
        let mut pauses = Vec::new();
        for end in [End::Exited(70), End::Killed(9), End::Exited(101), End::NotStarted("gone".into())] {
            let Next::Restart { pause, failures: more } = after(&end, MOMENT, failures) else {
                panic!("{end} is a failure");
            };
            failures = more;
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8]);
        let late = after(&End::Exited(70), MOMENT, u32::MAX);
        assert_eq!(late, Next::Restart { pause: MAX_PAUSE, failures: u32::MAX });
    }

    #[test]
    fn stable_uptime_resets_the_backoff() {
        let expected = Next::Restart { pause: FIRST_PAUSE, failures: 1 };
        assert_eq!(after(&End::Killed(9), STABLE_AFTER, 6), expected);
    }
}
