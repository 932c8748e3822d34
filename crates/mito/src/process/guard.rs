//! The process beside a worker that ends its commands should it be killed.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::process::exit::Exit;

/// In the place of a command; only a worker passes it.
const SUBCOMMAND: &str = "__guard";

/// How a worker starts its guard. `None` when the path of this program is unknown; the worker logs
/// what that means.
pub(crate) fn command() -> Option<Vec<OsString>> {
    let program = std::env::current_exe().ok()?;
    Some(vec![program.into(), SUBCOMMAND.into()])
}

/// Whether this process is to be a guard.
pub(crate) fn is_requested() -> bool {
    std::env::args_os().nth(1).is_some_and(|word| word == SUBCOMMAND)
}

/// Guards until the worker is gone. On a single thread, which is all that can be made deaf to signals.
pub(crate) fn run() -> ExitCode {
    match mitosis_worker::run_guard() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note!("mito: internal command of workers: {error}");
            Exit::Usage.into()
        }
    }
}
