//! A process group: a command and everything that it started, also outside of the group.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use wait4::Wait4 as _;

use super::cgroup::AttemptGroup;
use super::children::{self, RunningAttempt};
use super::guard::SlotEntry;
use super::process_tree::{Ending, Finder, Tree};
use super::processes::{self, Mark, Process, StartTime};

/// Time limit for processes that the command left behind, between SIGTERM and SIGKILL.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(2);
/// How long killed processes may take to end.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// A process group led by a command. One thread starts the command and waits for it; others send signals.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessGroup {
    shared: Arc<Shared>,
    entry: Option<SlotEntry>,
    /// The time without a renewal after which the guard kills the group, if less than the lease.
    limit: Option<Duration>,
    /// The mark in the environment of all processes of the attempt.
    mark: Mark,
    /// The control group of the attempt.
    confined: Option<Arc<AttemptGroup>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<GroupState>,
    was_killed_by_guard: AtomicBool,
    /// Whether everything has to end at once.
    is_killed: AtomicBool,
    /// When the command was started.
    since: OnceLock<StartTime>,
    /// The most memory that was found in use, in bytes.
    peak_memory: AtomicU64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum GroupState {
    #[default]
    NotStarted,
    Cancelled,
    Running(Pid),
    /// The command has ended; processes that it started may remain.
    Draining(Pid),
    Ended,
}

/// How a command ended, and what it used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupExit {
    pub(crate) status: ExitStatus,
    /// From the start of the command to its end, without processes that it left behind.
    pub(crate) wall: Duration,
    /// User and system time of the command and of the children for which it waited.
    pub(crate) cpu: Duration,
    /// The largest resident memory of one process, in bytes; 0 if it is not known, because it is less than that of this
    /// process.
    pub(crate) peak_memory: u64,
    /// Whether the kernel killed it because of its memory limit.
    pub(crate) is_out_of_memory: bool,
}

/// Kills a process group when it is dropped.
#[derive(Debug)]
pub(crate) struct KillOnDrop(ProcessGroup);

impl ProcessGroup {
    /// Creates a group that the guard knows while it runs.
    pub(crate) fn registered(entry: Option<SlotEntry>, limit: Option<Duration>, mark: Mark) -> Self {
        Self { entry, limit, mark, ..Self::default() }
    }

    /// Puts the command into a control group, which is removed with the last clone.
    pub(crate) fn confined(self, group: Option<AttemptGroup>) -> Self {
        Self { confined: group.map(Arc::new), ..self }
    }

    /// Whether the kernel limits the memory of the command.
    pub(crate) fn is_confined(&self) -> bool {
        self.confined.is_some()
    }

    /// The mark that the environment of the command must have.
    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }

    /// Returns a guard object that kills the group when it is dropped.
    pub(crate) fn kill_on_drop(&self) -> KillOnDrop {
        KillOnDrop(self.clone())
    }

    /// Starts the command, which must lead its own group, and blocks the thread until all of its processes have
    /// ended.
    pub(crate) fn run(&self, start: impl FnOnce() -> io::Result<Child>) -> io::Result<GroupExit> {
        let attempt = RunningAttempt::begin(self.mark);
        let start_time = Instant::now();
        self.shared.since.get_or_init(|| attempt.since);
        let (mut child, leader) = {
            // Locked during the start, so that no signal is lost.
            let mut state = self.state();
            if *state == GroupState::Cancelled {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
            let child = children::spawn(start)?;
            let leader = children::pid_of(&child)?;
            *state = GroupState::Running(leader);
            if let Some(entry) = &self.entry {
                entry.runs(leader, self.limit, attempt.mark, attempt.since);
            }
            if let Some(confined) = &self.confined
                && let Err(error) = confined.add(leader)
            {
                tracing::warn!(%error, "failed to move a command into its control group; it runs without limits");
            }
            (child, leader)
        };
        let mut exit = wait(&mut child, start_time);
        children::reaped(leader);
        self.end_leftovers(&attempt);
        if let (Some(confined), Ok(exit)) = (&self.confined, &mut exit) {
            let measured = confined.measured();
            exit.cpu = measured.cpu.unwrap_or(exit.cpu);
            exit.peak_memory = measured.peak_memory.unwrap_or(exit.peak_memory);
            exit.is_out_of_memory = measured.is_out_of_memory;
            confined.remove();
        }
        if let Some(entry) = &self.entry {
            // Checked only after a SIGKILL, since it costs a system call.
            if exit.as_ref().is_ok_and(|exit| exit.status.signal() == Some(Signal::SIGKILL as i32)) {
                self.shared.was_killed_by_guard.store(entry.was_killed(leader), Ordering::Relaxed);
            }
            entry.clear();
        }
        exit
    }

    /// Whether the guard killed the group because this process had not done so at the end of the lease.
    pub(crate) fn was_killed_by_guard(&self) -> bool {
        self.shared.was_killed_by_guard.load(Ordering::Relaxed)
    }

    /// Whether the command itself has ended.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(*self.state(), GroupState::Draining(_) | GroupState::Ended)
    }

    /// Sends a signal to the whole group. Before the start, it cancels the command. After SIGKILL, processes outside
    /// of the group end without a grace period, too.
    pub(crate) fn signal(&self, signal: Signal) {
        if signal == Signal::SIGKILL {
            self.shared.is_killed.store(true, Ordering::Relaxed);
        }
        let mut state = self.state();
        match *state {
            GroupState::NotStarted => *state = GroupState::Cancelled,
            // A process that has exited needs no signal.
            GroupState::Running(group) | GroupState::Draining(group) => drop(killpg(group, signal)),
            GroupState::Cancelled | GroupState::Ended => {}
        }
    }

    /// The memory of all processes of the running command, in bytes: 0 if it is not running. This can block.
    ///
    /// Up to `enough`, memory that processes share counts for each of them, because that is cheaper to find out.
    pub(crate) fn memory(&self, enough: u64) -> u64 {
        let GroupState::Running(group) = *self.state() else { return 0 };
        let tree = Tree {
            group: Some(group),
            mark: self.mark,
            since: self.shared.since.get().copied().unwrap_or_default(),
        };
        let members = Finder::new(&|_| false).find(&[tree]).unwrap_or_default();
        let resident: u64 = members.iter().map(processes::resident_bytes).sum();
        let used = match resident > enough {
            true => members.iter().map(processes::proportional_bytes).sum(),
            false => resident,
        };
        self.shared.peak_memory.fetch_max(used, Ordering::Relaxed);
        used
    }

    /// The most memory that [`Self::memory`] has found.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.shared.peak_memory.load(Ordering::Relaxed)
    }

    /// Ends the processes that the command left behind.
    fn end_leftovers(&self, attempt: &RunningAttempt) {
        let group = self.check_group();
        let confined = || self.confined.as_ref().map(|group| group.processes()).unwrap_or_default();
        if group.is_none() && !attempt.has_orphans() && confined().is_empty() {
            return;
        }
        let is_killed = || self.shared.is_killed.load(Ordering::Relaxed);
        let owns = |process: &Process| attempt.owns(process) || confined().contains(&process.pid);
        let reap = || {
            if is_killed()
                && let Some(confined) = &self.confined
            {
                confined.kill();
            }
            children::reap();
            self.check_group();
        };
        let tree = Tree { group, mark: attempt.mark, since: attempt.since };
        let ending =
            Ending { grace: LEFTOVERS_GRACE, limit: KILL_TIMEOUT, is_killed: &is_killed, reap: &reap };
        let left = ending.end(vec![tree], &mut Finder::new(&owns));
        if left > 0 {
            tracing::warn!(left, "killed processes of a command are still alive; continuing without them");
        }
        *self.state() = GroupState::Ended;
    }

    /// Notes whether the group still has processes after the end of its command. Returns it if so.
    fn check_group(&self) -> Option<Pid> {
        let mut state = self.state();
        let (GroupState::Running(group) | GroupState::Draining(group)) = *state else { return None };
        let is_left = killpg(group, None).is_ok();
        // From now on, the system may reuse the number.
        *state = if is_left { GroupState::Draining(group) } else { GroupState::Ended };
        is_left.then_some(group)
    }

    fn state(&self) -> MutexGuard<'_, GroupState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.signal(Signal::SIGKILL);
    }
}

/// Waits for the end of a command.
fn wait(child: &mut Child, start: Instant) -> io::Result<GroupExit> {
    loop {
        match child.wait4() {
            Ok(ended) => {
                let cpu = ended.rusage.utime + ended.rusage.stime;
                // A new child shares the memory of this process, which does not count as its own.
                let peak_memory = match ended.rusage.maxrss {
                    peak if peak > own_peak_memory() => peak,
                    _ => 0,
                };
                return Ok(GroupExit {
                    status: ended.status,
                    wall: start.elapsed(),
                    cpu,
                    peak_memory,
                    is_out_of_memory: false,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The largest resident memory of this process, in bytes.
fn own_peak_memory() -> u64 {
    let kilobytes = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
    u64::try_from(kilobytes).unwrap_or(0) * 1_024
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    fn start(script: &str) -> impl FnOnce() -> io::Result<Child> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).process_group(0);
        move || command.spawn()
    }

    #[test]
    fn leftover_processes_end_with_the_command() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let group = ProcessGroup::default();
        let script = format!("sleep 600 & echo $! > {}; exit 3", file.path().display());
        assert_eq!(group.run(start(&script)).unwrap().status.code(), Some(3));
        assert!(group.has_ended());
        let left: i32 = std::fs::read_to_string(file.path()).unwrap().trim().parse().unwrap();
        // It may be a zombie until its new parent has reaped it.
        let state =
            std::fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_else(|_| ") Z".to_owned());
        assert!(state.rsplit(')').next().unwrap().trim().starts_with('Z'), "{state}");
    }

    #[test]
    fn leftover_that_ignores_sigterm_is_killed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().display();
        let script = format!(
            "sh -c 'trap \"\" TERM; echo $$ > {name}; exec sleep 600' & while ! test -s {name}; do sleep 0.01; done"
        );
        assert!(ProcessGroup::default().run(start(&script)).unwrap().status.success());
        let left = std::fs::read_to_string(file.path()).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", left.trim()));
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        // It may be a zombie until its new parent has reaped it.
        while state().is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim().starts_with('Z')) {
            assert!(std::time::Instant::now() < deadline, "it lives");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn dropped_group_is_killed() {
        let group = ProcessGroup::default();
        let kill_on_drop = group.kill_on_drop();
        let ended = std::thread::scope(|scope| {
            let runs = scope.spawn(|| group.run(start("sleep 600")));
            while *group.state() == GroupState::NotStarted {
                std::thread::yield_now();
            }
            drop(kill_on_drop);
            runs.join().unwrap()
        });
        assert_eq!(ended.unwrap().status.signal(), Some(9));
    }

    #[test]
    fn cancelled_command_does_not_start() {
        let group = ProcessGroup::default();
        drop(group.kill_on_drop());
        let start = || unreachable!("it was called off");
        assert_eq!(group.run(start).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
