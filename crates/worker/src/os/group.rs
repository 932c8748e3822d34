//! A process group: the command and everything it started.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::guard::Mark;

/// What is left of a group after the command ended gets this long to end too.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A command that leads a process group. One thread starts it and waits for it, others send signals.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    shared: Arc<Shared>,
    mark: Option<Mark>,
    /// After which time without a renewal the guard kills it, if that is less than for others.
    limit: Option<Duration>,
}

#[derive(Debug, Default)]
struct Shared {
    stage: Mutex<Stage>,
    was_killed_by_guard: AtomicBool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    NotStarted,
    CalledOff,
    Runs(Pid),
    /// The command has ended; something that it started may be left.
    Lingers(Pid),
    Over,
}

/// Kills a group when it is dropped.
#[derive(Debug)]
pub(crate) struct Grip(Group);

impl Group {
    /// A group that the guard knows of while it runs.
    pub(crate) fn marked(mark: Option<Mark>, limit: Option<Duration>) -> Self {
        Self { mark, limit, ..Self::default() }
    }

    /// Whoever holds this answers for the group.
    pub(crate) fn hold(&self) -> Grip {
        Grip(self.clone())
    }

    /// Starts the command, which has to be told to lead a group of its own, and holds the thread until it
    /// and everything it left running have ended.
    pub(crate) fn run(&self, start: impl FnOnce() -> io::Result<Child>) -> io::Result<ExitStatus> {
        let (mut child, leader) = {
            // Held while it starts, so that no signal is lost.
            let mut stage = self.stage();
            if *stage == Stage::CalledOff {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
            let child = start()?;
            let leader = leader(&child)?;
            *stage = Stage::Runs(leader);
            if let Some(mark) = &self.mark {
                mark.runs(leader, self.limit);
            }
            (child, leader)
        };
        let status = child.wait();
        self.clear();
        if let Some(mark) = &self.mark {
            // Nothing else is asked for, since it costs a call.
            if status.as_ref().is_ok_and(|status| status.signal() == Some(Signal::SIGKILL as i32)) {
                self.shared.was_killed_by_guard.store(mark.was_killed(leader), Ordering::Relaxed);
            }
            mark.clear();
        }
        status
    }

    /// Whether the guard killed it, after this process had not done so at the end of a lease.
    pub(crate) fn was_killed_by_guard(&self) -> bool {
        self.shared.was_killed_by_guard.load(Ordering::Relaxed)
    }

    /// Whether the command itself has ended.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(*self.stage(), Stage::Lingers(_) | Stage::Over)
    }

    /// Sends a signal to everything in the group. Before the start, it calls the command off.
    pub(crate) fn signal(&self, signal: Signal) {
        let mut stage = self.stage();
        match *stage {
            Stage::NotStarted => *stage = Stage::CalledOff,
            // Whoever has gone needs no signal.
            Stage::Runs(group) | Stage::Lingers(group) => drop(killpg(group, signal)),
            Stage::CalledOff | Stage::Over => {}
        }
    }

    /// Ends what the command left running in its group.
    fn clear(&self) {
        let deadline = Instant::now() + LEFTOVERS_GRACE;
        let mut left = self.linger(Some(Signal::SIGTERM));
        while left && Instant::now() < deadline {
            std::thread::sleep(LOOK_AGAIN);
            left = self.linger(None);
        }
        if left {
            self.linger(Some(Signal::SIGKILL));
        }
        *self.stage() = Stage::Over;
    }

    /// Sends a signal to what is left; answers whether anything is.
    fn linger(&self, signal: Option<Signal>) -> bool {
        let mut stage = self.stage();
        let (Stage::Runs(group) | Stage::Lingers(group)) = *stage else { return false };
        let left = killpg(group, signal).is_ok();
        // From now on the number may be given to others.
        *stage = if left { Stage::Lingers(group) } else { Stage::Over };
        left
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.shared.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Grip {
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
    fn what_the_command_left_behind_ends_with_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let group = Group::default();
        let script = format!("sleep 600 & echo $! > {}; exit 3", file.path().display());
        assert_eq!(group.run(start(&script)).unwrap().code(), Some(3));
        assert!(group.has_ended());
        let left: i32 = std::fs::read_to_string(file.path()).unwrap().trim().parse().unwrap();
        // It may be a zombie until its new parent has looked at it.
        let state =
            std::fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_else(|_| ") Z".to_owned());
        assert!(state.rsplit(')').next().unwrap().trim().starts_with('Z'), "{state}");
    }

    #[test]
    fn leftover_that_ignores_its_end_is_killed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().display();
        let script = format!(
            "sh -c 'trap \"\" TERM; echo $$ > {name}; exec sleep 600' & while ! test -s {name}; do sleep 0.01; done"
        );
        assert!(Group::default().run(start(&script)).unwrap().success());
        let left = std::fs::read_to_string(file.path()).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", left.trim()));
        let deadline = Instant::now() + Duration::from_secs(5);
        // It may be a zombie until its new parent has looked at it.
        while state().is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim().starts_with('Z')) {
            assert!(Instant::now() < deadline, "it lives");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    #[test]
    fn a_group_that_was_let_go_of_is_killed() {
        let group = Group::default();
        let grip = group.hold();
        let ended = std::thread::scope(|scope| {
            let runs = scope.spawn(|| group.run(start("sleep 600")));
            while *group.stage() == Stage::NotStarted {
                std::thread::yield_now();
            }
            drop(grip);
            runs.join().unwrap()
        });
        assert_eq!(ended.unwrap().signal(), Some(9));
    }

    #[test]
    fn a_command_that_was_called_off_does_not_start() {
        let group = Group::default();
        drop(group.hold());
        let start = || unreachable!("it was called off");
        assert_eq!(group.run(start).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
