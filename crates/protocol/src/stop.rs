//! How a command is stopped. Native.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time between the stop signal and SIGKILL, unless the task sets another one.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// The longest grace period.
pub const MAX_GRACE: Duration = Duration::from_hours(1);

/// The signals that can ask a command to end, and their numbers on Linux.
const SIGNALS: [(&str, u8); 7] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGTERM", 15),
];

/// A signal that asks a command to end, such as `SIGINT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StopSignal(u8);

impl StopSignal {
    /// The signal of tasks that set none.
    pub const TERM: Self = Self(15);

    /// Its number on Linux.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A text that is not a stop signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid signal `{0}`: expected HUP, INT, QUIT, KILL, USR1, USR2 or TERM")]
pub struct InvalidStopSignal(String);

impl FromStr for StopSignal {
    type Err = InvalidStopSignal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_meant = |(name, number): &&(&str, u8)| {
            name.eq_ignore_ascii_case(text)
                || name.strip_prefix("SIG").is_some_and(|short| short.eq_ignore_ascii_case(text))
                || text.parse() == Ok(*number)
        };
        let found = SIGNALS.iter().find(is_meant);
        found.map(|(_, number)| Self(*number)).ok_or_else(|| InvalidStopSignal(text.to_owned()))
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = SIGNALS.iter().find(|(_, number)| *number == self.0);
        f.write_str(name.map_or("SIGTERM", |(name, _)| name))
    }
}

impl TryFrom<String> for StopSignal {
    type Error = InvalidStopSignal;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<StopSignal> for String {
    fn from(signal: StopSignal) -> Self {
        signal.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_by_name_and_number() {
        for text in ["SIGINT", "INT", "int", "2"] {
            assert_eq!(text.parse::<StopSignal>().unwrap().to_string(), "SIGINT", "{text}");
        }
        assert_eq!("TERM".parse(), Ok(StopSignal::TERM));
        for wrong in ["", "SIG", "SIGSTOP", "0", "-2", "SIGSIGINT"] {
            assert!(wrong.parse::<StopSignal>().is_err(), "{wrong}");
        }
    }
}
