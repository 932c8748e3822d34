//! Raw POSIX wait statuses, as `exit_status` carries them.

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitStatus {
    /// The process exited with this code (0 to 255).
    Exited(u8),
    /// The process was ended by this signal.
    Signalled(u8),
}

impl WaitStatus {
    /// Reads a wait status: code × 256, or the signal, plus 128 for a core dump.
    pub const fn from_raw(raw: i32) -> Self {
        let [low, code, ..] = raw.to_le_bytes();
        match low & 0x7f {
            0 => Self::Exited(code),
            signal => Self::Signalled(signal),
        }
    }

    /// The wait status.
    pub const fn to_raw(self) -> i32 {
        match self {
            Self::Exited(code) => (code as i32) << 8,
            Self::Signalled(signal) => signal as i32,
        }
    }

    /// The code a shell would show: the exit code, or 128 + signal.
    pub const fn shell_code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signalled(signal) => 128 + signal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_signals_and_core_dumps_are_distinguished() {
        assert_eq!(WaitStatus::from_raw(768), WaitStatus::Exited(3));
        assert_eq!(WaitStatus::from_raw(15), WaitStatus::Signalled(15));
        assert_eq!(WaitStatus::from_raw(128 + 11), WaitStatus::Signalled(11));
        assert_eq!(WaitStatus::from_raw(15).shell_code(), 143);
        assert_eq!(WaitStatus::Exited(7).to_raw(), 1792);
    }
}
