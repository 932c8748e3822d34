//! What the first process of a container has to do besides its work.
//!
//! Processes whose parents are gone become its children, and stay in the table of processes until it has looked
//! at their ends. The runtime looks at those only that it started itself, so the real program runs in a child of
//! its own, and this process does nothing else.

use std::io::{self, IsTerminal as _};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use crate::process::exit::Exit;

/// What is passed on to the program, besides the ends of children.
const FORWARDED: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];
/// All other processes end with this one. A guard gets this long to give back what a program that was killed
/// held.
const ORPHANS_TIMEOUT: Duration = Duration::from_secs(8);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// What a shell adds to the number of the signal that ended a program.
const SIGNAL_BASE: u8 = 128;

/// Whether this is the first process.
pub(crate) fn is_needed() -> bool {
    getpid() == Pid::from_raw(1)
}

/// Runs the program, and ends as it ends.
pub(crate) fn run() -> ExitCode {
    run_program().unwrap_or_else(|error| {
        note!("mito: cannot start a child process: {error}");
        Exit::Fault.into()
    })
}

fn run_program() -> io::Result<ExitCode> {
    let program = Command::new(std::env::current_exe()?).args(std::env::args_os().skip(1)).spawn()?.id();
    let program = Pid::from_raw(i32::try_from(program).map_err(io::Error::other)?);
    // The program would inherit it, so this comes second.
    let mut signals: SigSet = FORWARDED.into_iter().collect();
    signals.add(Signal::SIGCHLD);
    signals.thread_block()?;
    loop {
        if let Some(end) = reap(program) {
            if matches!(end, WaitStatus::Signaled(..)) {
                wait_for_others();
            }
            return Ok(code(end));
        }
        match signals.wait()? {
            Signal::SIGCHLD => {}
            // The terminal has given these to the program itself.
            Signal::SIGINT | Signal::SIGQUIT if io::stdin().is_terminal() => {}
            // It may just have ended.
            signal => drop(kill(program, signal)),
        }
    }
}

/// Looks at everything that has ended; answers the end of the program if that is among it.
fn reap(program: Pid) -> Option<WaitStatus> {
    let mut found = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return found,
            Ok(end) if end.pid() == Some(program) => found = Some(end),
            Ok(_) | Err(_) => {}
        }
    }
}

/// Until there are none, or they have had their time.
fn wait_for_others() {
    let deadline = Instant::now() + ORPHANS_TIMEOUT;
    while Instant::now() < deadline && waitpid(None, Some(WaitPidFlag::WNOHANG)) != Err(Errno::ECHILD) {
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn code(end: WaitStatus) -> ExitCode {
    match end {
        WaitStatus::Exited(_, code) => u8::try_from(code).unwrap_or(Exit::Failure as u8).into(),
        WaitStatus::Signaled(_, signal, _) => (SIGNAL_BASE + signal as u8).into(),
        _ => Exit::Fault.into(),
    }
}
