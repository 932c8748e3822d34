//! Other programs for running many commands.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Error;

/// `xargs -P`.
pub(crate) fn xargs(slots: usize, count: usize, command: &[&str]) -> Result<Duration, Error> {
    let mut xargs = Command::new("xargs");
    // Reads one line for each run and ignores it.
    xargs.args(["-P", &slots.to_string(), "-I", "{}"]).args(command);
    feed(xargs, count)
}

/// GNU parallel.
pub(crate) fn gnu_parallel(slots: usize, count: usize, command: &[&str]) -> Result<Duration, Error> {
    let mut parallel = Command::new("parallel");
    // Without a placeholder for the line, it would be appended to the command.
    parallel.args(["-j", &slots.to_string(), "--plain", "-N0", "-q"]).args(command);
    feed(parallel, count)
}

/// Whether a program is installed.
pub(crate) fn installed(program: &str) -> bool {
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn feed(mut command: Command, count: usize) -> Result<Duration, Error> {
    let numbers = "x\n".repeat(count);
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    child.stdin.take().expect("it was asked for").write_all(numbers.as_bytes())?;
    let status = child.wait()?;
    match status.success() {
        true => Ok(begun.elapsed()),
        false => Err(format!("{} ended with {status}", command.get_program().display()).into()),
    }
}
