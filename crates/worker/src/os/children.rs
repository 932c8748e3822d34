//! The child processes of this process.
//!
//! A worker is the parent of every process that its commands leave behind, so it must reap them. The system
//! has one list of children for the whole process, so this registry is global, too. It must never reap a child
//! that other code waits for.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::process::Child;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use mitosis_domain::entropy::Entropy;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpgrp};

use super::process_tree;
use super::processes::{self, Mark, Process, StartTime};

/// Time between two passes that reap and end what commands have left behind unnoticed.
const PASS_INTERVAL: Duration = Duration::from_secs(1);

/// The children of the main thread; none if the kernel has no such list.
static LIST: LazyLock<Option<File>> =
    LazyLock::new(|| File::open(format!("/proc/self/task/{}/children", Pid::this())).ok());
static CHILDREN: LazyLock<Registry> = LazyLock::new(Registry::default);

#[derive(Debug, Default)]
struct Registry {
    /// Locked for reading while a child is started and not yet registered.
    starting: RwLock<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Children that a thread waits for.
    awaited: HashSet<Pid>,
    /// Attempts whose processes may exist, and when they started.
    attempts: HashMap<Mark, StartTime>,
    /// The marks of adopted processes, which are read once.
    adopted: HashMap<Pid, (StartTime, Option<Mark>)>,
    /// The first half of all marks of this process, and how many were issued.
    issued: Option<(u32, u32)>,
    is_adopting: bool,
}

/// Makes this process the parent of everything that its commands leave behind, and starts the thread that reaps
/// such processes.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    let mut state = CHILDREN.state();
    if !state.is_adopting {
        set_child_subreaper(true)?;
        // Opened now: later, there may be no file descriptor left.
        LazyLock::force(&LIST);
        std::thread::Builder::new().name("mito-reaper".to_owned()).spawn(|| {
            loop {
                std::thread::sleep(PASS_INTERVAL);
                reap();
                end_strays();
            }
        })?;
        state.is_adopting = true;
    }
    Ok(())
}

/// A running attempt, whose processes carry its mark. Dropping it ends its registration.
#[derive(Debug)]
pub(super) struct RunningAttempt {
    pub(super) mark: Mark,
    pub(super) since: StartTime,
}

impl RunningAttempt {
    pub(super) fn begin(mark: Mark) -> Self {
        let since = StartTime::now().rounded();
        CHILDREN.state().attempts.insert(mark, since);
        Self { mark, since }
    }

    /// Whether a process that this one has adopted belongs to the attempt. A process without a mark belongs to the
    /// attempts that ran when it was started; the last one of them ends it.
    pub(super) fn owns(&self, process: &Process) -> bool {
        process.parent == Pid::this()
            && is_foreign(process)
            && adopted().contains(&process.pid)
            && CHILDREN.state().is_of(process, self)
    }

    /// Whether the attempt has left processes that this one has adopted. This is cheap if there are none.
    pub(super) fn has_orphans(&self) -> bool {
        adopted().into_iter().any(|pid| {
            let is_other = CHILDREN.state().is_of_other(pid, self.mark);
            !is_other && processes::process(pid).is_some_and(|it| !it.is_zombie && self.owns(&it))
        })
    }
}

impl Drop for RunningAttempt {
    fn drop(&mut self) {
        CHILDREN.state().attempts.remove(&self.mark);
    }
}

/// Creates the mark of a new attempt.
pub(crate) fn new_mark(entropy: &dyn Entropy) -> Mark {
    let mut state = CHILDREN.state();
    let (base, number) = state.issued.unwrap_or_else(|| (entropy.fraction(), 0));
    state.issued = Some((base, number.wrapping_add(1)));
    Mark(u64::from(base) << 32 | u64::from(number))
}

/// Starts a child for which the calling thread waits.
pub(super) fn spawn(start: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
    let _starting = CHILDREN.starting.read().unwrap_or_else(PoisonError::into_inner);
    let child = start()?;
    CHILDREN.state().awaited.insert(pid_of(&child)?);
    Ok(child)
}

/// Notes that a child from [`spawn`] has been reaped.
pub(super) fn reaped(pid: Pid) {
    CHILDREN.state().awaited.remove(&pid);
}

pub(super) fn pid_of(child: &Child) -> io::Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?))
}

/// Reaps adopted processes that have ended.
pub(super) fn reap() {
    // A child that is being started is not registered yet, and may end before it is.
    let _started = CHILDREN.starting.write().unwrap_or_else(PoisonError::into_inner);
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    if matches!(waitid(Id::All, peek), Ok(WaitStatus::StillAlive) | Err(_)) {
        return;
    }
    for pid in adopted() {
        let Some(process) = processes::process(pid) else { continue };
        if process.is_zombie && is_foreign(&process) && waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_ok() {
            CHILDREN.state().adopted.remove(&pid);
        }
    }
}

/// Ends adopted processes whose attempt has ended: a process can escape the check at the end of its attempt.
fn end_strays() {
    for pid in adopted() {
        let Some(process) = processes::process(pid).filter(|it| !it.is_zombie && is_foreign(it)) else {
            continue;
        };
        if CHILDREN.state().is_stray(&process) {
            tracing::info!(%pid, "ending a process that an attempt has left behind");
            process_tree::signal(&process, Signal::SIGKILL);
        }
    }
}

/// The children of this process that no thread waits for. The system makes orphans children of the main thread,
/// and those that a thread has started are children of that thread.
fn adopted() -> Vec<Pid> {
    let is_awaited = |pid: &Pid| CHILDREN.state().awaited.contains(pid);
    let Some(file) = &*LIST else {
        // A kernel without this list.
        let all = processes::all().unwrap_or_default();
        let children = all.into_iter().filter(|it| it.parent == Pid::this()).map(|it| it.pid);
        return children.filter(|pid| !is_awaited(pid)).collect();
    };
    let mut text = vec![0; 4096];
    let mut length = 0;
    while let Ok(read) = file.read_at(&mut text[length..], length as u64)
        && read > 0
    {
        length += read;
        if length == text.len() {
            text.resize(length * 2, 0);
        }
    }
    let ids = text[..length].split(|byte| *byte == b' ');
    let ids = ids.filter_map(|id| std::str::from_utf8(id).ok()?.trim().parse().ok().map(Pid::from_raw));
    ids.filter(|pid| !is_awaited(pid)).collect()
}

/// Whether other code of this process has not started this child: it would be in the group of this process.
fn is_foreign(process: &Process) -> bool {
    process.group != getpgrp()
}

impl Registry {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_of(&mut self, process: &Process, attempt: &RunningAttempt) -> bool {
        match self.mark(process) {
            Some(mark) if mark == attempt.mark => true,
            Some(mark) if self.attempts.contains_key(&mark) => false,
            // A command can clear its environment, and a worker inside a command has marks of its own.
            _ => {
                let others = self.attempts.iter().filter(|(mark, _)| **mark != attempt.mark);
                let mut starts = others.map(|(_, since)| *since);
                process.started >= attempt.since && starts.all(|since| since > process.started)
            }
        }
    }

    /// Whether a process is known to belong to another running attempt.
    fn is_of_other(&self, pid: Pid, mark: Mark) -> bool {
        let known = self.adopted.get(&pid).and_then(|(_, mark)| *mark);
        known.is_some_and(|known| known != mark && self.attempts.contains_key(&known))
    }

    /// Whether a process belongs to an attempt of this process that has ended.
    fn is_stray(&mut self, process: &Process) -> bool {
        let Some((base, _)) = self.issued else { return false };
        self.mark(process)
            .is_some_and(|mark| mark.0 >> 32 == u64::from(base) && !self.attempts.contains_key(&mark))
    }

    fn mark(&mut self, process: &Process) -> Option<Mark> {
        match self.adopted.get(&process.pid) {
            Some((started, mark)) if *started == process.started => *mark,
            _ => {
                let mark = processes::mark_of(process.pid);
                self.adopted.insert(process.pid, (process.started, mark));
                mark
            }
        }
    }
}
