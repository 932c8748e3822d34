//! How a process ended: as the operating system reports it, and as a shell shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A raw POSIX wait status: exit code n is n × 256, death by signal s is s (+128 with a core dump).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WaitStatus(pub i32);

/// How a process ended, as its wait status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Termination {
    /// The process exited with this code (0 to 255).
    Exited(u8),
    /// The process was ended by this signal.
    Signalled(u8),
}

/// An exit code in the convention of a shell: that of the process, or 128 plus the signal that ended it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ShellCode(pub u8);

impl WaitStatus {
    /// Exit code 0; also the status of a task whose command never ran.
    pub const SUCCESS: Self = Self(0);

    /// The status of a process that exits with this code.
    pub const fn exited(code: u8) -> Self {
        Self((code as i32) << 8)
    }

    /// The status of a process that this signal ends, without a core dump.
    pub const fn signalled(signal: u8) -> Self {
        Self(signal as i32)
    }

    /// Whether the process exited with code 0.
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }

    /// How the process ended.
    pub const fn termination(self) -> Termination {
        let [low, code, ..] = self.0.to_le_bytes();
        match low & 0x7f {
            0 => Termination::Exited(code),
            signal => Termination::Signalled(signal),
        }
    }

    /// The exit code that a shell would show.
    pub const fn shell_code(self) -> ShellCode {
        match self.termination() {
            Termination::Exited(code) => ShellCode(code),
            Termination::Signalled(signal) => ShellCode(128 + signal),
        }
    }
}

impl ShellCode {
    /// Success.
    pub const SUCCESS: Self = Self(0);

    /// Whether it is 0.
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ShellCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<ShellCode> for i64 {
    fn from(code: ShellCode) -> Self {
        code.0.into()
    }
}

impl From<ShellCode> for std::process::ExitCode {
    fn from(code: ShellCode) -> Self {
        code.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_signals_and_core_dumps_are_distinguished() {
        assert_eq!(WaitStatus(768).termination(), Termination::Exited(3));
        assert_eq!(WaitStatus(15).termination(), Termination::Signalled(15));
        assert_eq!(WaitStatus(128 + 11).termination(), Termination::Signalled(11));
        assert_eq!(WaitStatus(15).shell_code(), ShellCode(143));
        assert_eq!(WaitStatus::exited(7), WaitStatus(1792));
        assert_eq!(WaitStatus::signalled(15), WaitStatus(15));
    }
}
