//! Tasks of the first process of a container.
//!
//! The first process becomes the parent of orphaned processes and must reap them. The runtime reaps only processes
//! that it started, so the real program runs in a child process, and this process only reaps and forwards signals.

use std::io::{self, IsTerminal as _};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use crate::process::exit::Exit;

/// The signals that are forwarded to the program.
const FORWARDED: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];
/// How long other processes may run after the program. They end with this process, and the guard of a killed worker
/// needs time to return its tasks.
const ORPHANS_TIMEOUT: Duration = Duration::from_secs(8);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The base of the exit code of a program that a signal ended.
const SIGNAL_BASE: u8 = 128;

/// Whether this is the first process of a container.
pub(crate) fn is_needed() -> bool {
    getpid() == Pid::from_raw(1)
}

/// Runs the program, and exits with its code.
pub(crate) fn run() -> ExitCode {
    run_program().unwrap_or_else(|error| {
        note!("mito: cannot start a child process: {error}");
        Exit::Fault.into()
    })
}

fn run_program() -> io::Result<ExitCode> {
    let program = Command::new(std::env::current_exe()?).args(std::env::args_os().skip(1)).spawn()?.id();
    let program = Pid::from_raw(i32::try_from(program).map_err(io::Error::other)?);
    // After the start of the program, which would inherit the mask.
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
            // The terminal has sent these signals to the program itself.
            Signal::SIGINT | Signal::SIGQUIT if io::stdin().is_terminal() => {}
            // The program may have just ended.
            signal => drop(kill(program, signal)),
        }
    }
}

/// Reaps all ended processes. Returns the status of the program if it is one of them.
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

/// Waits until no other process is left, or until the timeout.
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
