//! The guard: the process that kills the commands of a worker that is killed.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::process::exit::Exit;

/// The argument that starts a guard, in the place of a command.
const SUBCOMMAND: &str = "__guard";

/// The command that starts a guard; none if the path of this program is unknown, which the worker logs.
pub(crate) fn command() -> Option<Vec<OsString>> {
    let program = std::env::current_exe().ok()?;
    Some(vec![program.into(), SUBCOMMAND.into()])
}

/// Whether this process is a guard.
pub(crate) fn is_requested() -> bool {
    std::env::args_os().nth(1).is_some_and(|word| word == SUBCOMMAND)
}

/// Runs the guard until the worker is gone. It must run on the only thread, since signals are blocked for that thread.
pub(crate) fn run() -> ExitCode {
    match mitosis_worker::run_guard() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note!("mito: internal command of workers: {error}");
            Exit::Usage.into()
        }
    }
}
