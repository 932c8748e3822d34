//! All processes of an attempt, also those that have left its process group.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use super::processes::{self, Mark, Process, StartTime};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What identifies the processes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tree {
    /// The group of the command. None if it has ended: the system may use its number again.
    pub(super) group: Option<Pid>,
    pub(super) mark: Mark,
    /// When the command was started, or earlier.
    pub(super) since: StartTime,
}

/// Finds the processes of attempts.
pub(super) struct Finder<'a> {
    /// Whether a process belongs to one of the attempts for a reason that only the caller knows.
    owns: &'a dyn Fn(&Process) -> bool,
    marks: HashMap<(Pid, StartTime), Option<Mark>>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(owns: &'a dyn Fn(&Process) -> bool) -> Self {
        Self { owns, marks: HashMap::new() }
    }

    /// All processes of these attempts that have not ended.
    ///
    /// # Errors
    /// Fails if the process table is unreadable.
    pub(super) fn find(&mut self, trees: &[Tree]) -> io::Result<Vec<Process>> {
        let Some(since) = trees.iter().map(|tree| tree.since).min() else { return Ok(Vec::new()) };
        let mut others: Vec<Process> = processes::all()?;
        others.retain(|it| !it.is_zombie && it.started >= since && it.pid != Pid::this());
        let (mut found, mut ids) = (Vec::new(), HashSet::new());
        let mut is_complete = false;
        while !is_complete {
            is_complete = true;
            others.retain(|it| {
                let is_new = ids.contains(&it.parent) || self.is_of(it, trees);
                if is_new {
                    ids.insert(it.pid);
                    found.push(*it);
                    is_complete = false;
                }
                !is_new
            });
        }
        Ok(found)
    }

    fn is_of(&mut self, process: &Process, trees: &[Tree]) -> bool {
        if trees.iter().any(|tree| tree.group == Some(process.group)) {
            return true;
        }
        let key = (process.pid, process.started);
        let mark = *self.marks.entry(key).or_insert_with(|| processes::mark_of(process.pid));
        mark.is_some_and(|mark| trees.iter().any(|tree| tree.mark == mark)) || (self.owns)(process)
    }
}

/// How to end processes.
pub(super) struct Ending<'a> {
    /// Time between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
    /// How long killed processes may take to end; no signal ends one that waits for a device.
    pub(super) limit: Duration,
    /// Whether the grace has ended earlier.
    pub(super) is_killed: &'a dyn Fn() -> bool,
    /// Called before each look at the processes.
    pub(super) reap: &'a dyn Fn(),
}

impl Ending<'_> {
    /// Ends all processes of these attempts, also those that are started meanwhile. Returns how many are left.
    pub(super) fn end(&self, mut trees: Vec<Tree>, finder: &mut Finder<'_>) -> usize {
        let groups: HashSet<Pid> = trees.iter().filter_map(|tree| tree.group).collect();
        let mut terminated = HashSet::new();
        for group in &groups {
            let first = if (self.is_killed)() { Signal::SIGKILL } else { Signal::SIGTERM };
            // A group that has ended needs no signal.
            killpg(*group, first).ok();
        }
        let start = Instant::now();
        let mut killed = None;
        loop {
            (self.reap)();
            for tree in &mut trees {
                tree.group = tree.group.filter(|group| killpg(*group, None).is_ok());
            }
            if killed.is_none() && (start.elapsed() >= self.grace || (self.is_killed)()) {
                killed = Some(Instant::now());
            }
            let rest = trees.iter().filter_map(|tree| tree.group);
            for group in rest.clone().filter(|_| killed.is_some()) {
                killpg(group, Signal::SIGKILL).ok();
            }
            // Without the process table, at least the groups are ended.
            let left = finder.find(&trees);
            let count = left.as_ref().map_or_else(|_| rest.count(), Vec::len);
            if count == 0 || killed.is_some_and(|killed| killed.elapsed() >= self.limit) {
                return count;
            }
            for process in left.iter().flatten() {
                if killed.is_some() {
                    signal(process, Signal::SIGKILL);
                } else if !groups.contains(&process.group) && terminated.insert(process.pid) {
                    signal(process, Signal::SIGTERM);
                }
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// Sends a signal to a process, unless another process has its number now.
pub(super) fn signal(process: &Process, signal: Signal) {
    let is_same = || processes::process(process.pid).is_some_and(|it| it.started == process.started);
    let (Some(pid), Some(named)) = (
        rustix::process::Pid::from_raw(process.pid.as_raw()),
        rustix::process::Signal::from_named_raw(signal as i32),
    ) else {
        return;
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        // A process that has ended needs no signal.
        Ok(handle) if is_same() => {
            pidfd_send_signal(handle, named).ok();
        }
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) if is_same() => {
            kill(process.pid, signal).ok();
        }
        Ok(_) | Err(_) => {}
    }
}
