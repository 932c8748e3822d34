//! Reads the process table of the system (`/proc`).

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::LazyLock;

use nix::unistd::{Pid, SysconfVar, sysconf};

use super::boot_clock::BootInstant;

/// The environment variable that marks the processes of an attempt.
pub(crate) const MARK_VARIABLE: &str = "MITO_ATTEMPT_MARK";

/// Identifies the processes of one attempt on this machine: it is in their environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Mark(pub(super) u64);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// When a process was started, in clock ticks since the machine was booted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StartTime(pub(super) u64);

impl StartTime {
    /// The start time of a process that starts now.
    pub(crate) fn now() -> Self {
        static TICKS: LazyLock<u128> = LazyLock::new(|| match sysconf(SysconfVar::CLK_TCK) {
            Ok(Some(ticks)) => u128::try_from(ticks).unwrap_or(100),
            _ => 100,
        });
        let nanos = u128::from(BootInstant::system_now().as_nanos());
        Self(u64::try_from(nanos * *TICKS / 1_000_000_000).unwrap_or(u64::MAX))
    }

    /// A little earlier: the kernel and this process may round differently.
    pub(super) fn rounded(self) -> Self {
        Self(self.0.saturating_sub(2))
    }
}

/// A process of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) parent: Pid,
    pub(super) group: Pid,
    /// Whether it has ended, and was not reaped yet.
    pub(super) is_zombie: bool,
    pub(super) started: StartTime,
    /// Its resident memory, in pages.
    pub(super) resident_pages: u64,
}

/// All processes that are visible to this one.
///
/// # Errors
/// Fails without a process table, or without a free file descriptor.
pub(super) fn all() -> io::Result<Vec<Process>> {
    let entries = std::fs::read_dir("/proc")?;
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(ids.filter_map(|pid| process(Pid::from_raw(pid))).collect())
}

/// Reads one process; none if it does not exist.
pub(super) fn process(pid: Pid) -> Option<Process> {
    parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Parses `/proc/PID/stat`. The name of a program can contain anything, so its last parenthesis counts.
fn parse(pid: Pid, stat: &[u8]) -> Option<Process> {
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let fields: Vec<&str> = std::str::from_utf8(&stat[end_of_name + 1..]).ok()?.split_whitespace().collect();
    let id = |index: usize| fields.get(index)?.parse().ok().map(Pid::from_raw);
    let number = |index: usize| fields.get(index)?.parse().ok();
    Some(Process {
        pid,
        parent: id(1)?,
        group: id(2)?,
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
        started: StartTime(number(19)?),
        resident_pages: number(21)?,
    })
}

/// The resident memory of a process, in bytes.
pub(super) fn resident_bytes(process: &Process) -> u64 {
    static PAGE: LazyLock<u64> = LazyLock::new(|| match sysconf(SysconfVar::PAGE_SIZE) {
        Ok(Some(size)) => u64::try_from(size).unwrap_or(4_096),
        _ => 4_096,
    });
    process.resident_pages * *PAGE
}

/// The memory of a process in bytes, where what it shares with others counts in part. If that is unknown, its resident
/// memory.
pub(super) fn proportional_bytes(process: &Process) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)).unwrap_or_default();
    let kilobytes = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.strip_suffix("kB"));
    let kilobytes: Option<u64> = kilobytes.and_then(|number| number.trim().parse().ok());
    kilobytes.map_or_else(|| resident_bytes(process), |kilobytes| kilobytes * 1_024)
}

/// The mark in the environment of a process; none if it has no mark or the environment is unreadable.
pub(super) fn mark_of(pid: Pid) -> Option<Mark> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(MARK_VARIABLE.as_bytes())?.strip_prefix(b"="))?;
    let value = std::ffi::OsStr::from_bytes(value).to_str()?;
    u64::from_str_radix(value, 16).ok().map(Mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_program_does_not_confuse_the_parser() {
        let stat = b"70 (a) R 1 (b) S 7 71 72 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 33 1 2\n";
        let found = parse(Pid::from_raw(70), stat).unwrap();
        assert_eq!((found.parent, found.group), (Pid::from_raw(7), Pid::from_raw(71)));
        assert_eq!((found.started, found.resident_pages, found.is_zombie), (StartTime(4711), 33, false));
        assert_eq!(parse(Pid::from_raw(70), b"70 (a) S 7"), None);
    }

    #[test]
    fn own_process_is_read() {
        let own = process(Pid::this()).unwrap();
        assert_eq!((own.pid, own.parent), (Pid::this(), Pid::parent()));
        assert!(own.started <= StartTime::now());
        let (resident, proportional) = (resident_bytes(&own), proportional_bytes(&own));
        assert!(resident > 0 && proportional > 0 && proportional < resident * 2, "{resident} {proportional}");
        assert!(all().unwrap().iter().any(|it| (it.pid, it.started) == (own.pid, own.started)));
    }
}
