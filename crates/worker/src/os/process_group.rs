//! A process group: a command and everything that it started.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::guard::SlotEntry;

/// Time limit for processes that the command left behind, between SIGTERM and SIGKILL.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A process group led by a command. One thread starts the command and waits for it; others send signals.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessGroup {
    shared: Arc<Shared>,
    entry: Option<SlotEntry>,
    /// The time without a renewal after which the guard kills the group, if less than the lease.
    limit: Option<Duration>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<GroupState>,
    was_killed_by_guard: AtomicBool,
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

/// Kills a process group when it is dropped.
#[derive(Debug)]
pub(crate) struct KillOnDrop(ProcessGroup);

impl ProcessGroup {
    /// Creates a group that the guard knows while it runs.
    pub(crate) fn registered(entry: Option<SlotEntry>, limit: Option<Duration>) -> Self {
        Self { entry, limit, ..Self::default() }
    }

    /// Returns a guard object that kills the group when it is dropped.
    pub(crate) fn kill_on_drop(&self) -> KillOnDrop {
        KillOnDrop(self.clone())
    }

    /// Starts the command, which must lead its own group, and blocks the thread until the whole group has
    /// ended.
    pub(crate) fn run(&self, start: impl FnOnce() -> io::Result<Child>) -> io::Result<ExitStatus> {
        let (mut child, leader) = {
            // Locked during the start, so that no signal is lost.
            let mut state = self.state();
            if *state == GroupState::Cancelled {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
            let child = start()?;
            let leader = leader(&child)?;
            *state = GroupState::Running(leader);
            if let Some(entry) = &self.entry {
                entry.runs(leader, self.limit);
            }
            (child, leader)
        };
        let status = child.wait();
        self.end_leftovers();
        if let Some(entry) = &self.entry {
            // Checked only after a SIGKILL, since it costs a system call.
            if status.as_ref().is_ok_and(|status| status.signal() == Some(Signal::SIGKILL as i32)) {
                self.shared.was_killed_by_guard.store(entry.was_killed(leader), Ordering::Relaxed);
            }
            entry.clear();
        }
        status
    }

    /// Whether the guard killed the group because this process had not done so at the end of the lease.
    pub(crate) fn was_killed_by_guard(&self) -> bool {
        self.shared.was_killed_by_guard.load(Ordering::Relaxed)
    }

    /// Whether the command itself has ended.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(*self.state(), GroupState::Draining(_) | GroupState::Ended)
    }

    /// Sends a signal to the whole group. Before the start, it cancels the command.
    pub(crate) fn signal(&self, signal: Signal) {
        let mut state = self.state();
        match *state {
            GroupState::NotStarted => *state = GroupState::Cancelled,
            // A process that has exited needs no signal.
            GroupState::Running(group) | GroupState::Draining(group) => drop(killpg(group, signal)),
            GroupState::Cancelled | GroupState::Ended => {}
        }
    }

    /// Ends the processes that the command left in its group.
    fn end_leftovers(&self) {
        let deadline = Instant::now() + LEFTOVERS_GRACE;
        let mut left = self.signal_leftovers(Some(Signal::SIGTERM));
        while left && Instant::now() < deadline {
            std::thread::sleep(POLL_INTERVAL);
            left = self.signal_leftovers(None);
        }
        if left {
            self.signal_leftovers(Some(Signal::SIGKILL));
        }
        *self.state() = GroupState::Ended;
    }

    /// Sends a signal to the remaining processes. Returns whether there are any.
    fn signal_leftovers(&self, signal: Option<Signal>) -> bool {
        let mut state = self.state();
        let (GroupState::Running(group) | GroupState::Draining(group)) = *state else { return false };
        let left = killpg(group, signal).is_ok();
        // From now on, the system may reuse the number.
        *state = if left { GroupState::Draining(group) } else { GroupState::Ended };
        left
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

fn leader(child: &Child) -> io::Result<Pid> {
    let id = i32::try_from(child.id()).map_err(io::Error::other)?;
    Ok(Pid::from_raw(id))
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
        assert_eq!(group.run(start(&script)).unwrap().code(), Some(3));
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
        assert!(ProcessGroup::default().run(start(&script)).unwrap().success());
        let left = std::fs::read_to_string(file.path()).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", left.trim()));
        let deadline = Instant::now() + Duration::from_secs(5);
        // It may be a zombie until its new parent has reaped it.
        while state().is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim().starts_with('Z')) {
            assert!(Instant::now() < deadline, "it lives");
            std::thread::sleep(POLL_INTERVAL);
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
        assert_eq!(ended.unwrap().signal(), Some(9));
    }

    #[test]
    fn cancelled_command_does_not_start() {
        let group = ProcessGroup::default();
        drop(group.kill_on_drop());
        let start = || unreachable!("it was called off");
        assert_eq!(group.run(start).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
