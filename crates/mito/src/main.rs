//! The `mito` binary: argv, configuration, roles and exit codes.
//!
//! `cli` parses the arguments, `config` reads the configuration, `commands` runs the command. Only this file decides
//! how the process ends.

/// Writes a line to standard error, like `eprintln!`. A write error is ignored: there is no other place to report it.
macro_rules! note {
    ($($words:tt)*) => { $crate::show::note(format_args!($($words)*)) };
}

mod cli;
mod commands;
mod complete;
mod config;
mod embedded;
mod login;
mod new_task;
mod process;
mod show;
mod task_io;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::config::Environment;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::{container_init, guard};

/// Time limit for blocking threads at the end of the process.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);

/// The file descriptor of standard error.
const LAST_STANDARD_STREAM: i32 = 2;

fn main() -> ExitCode {
    if container_init::is_needed() {
        return container_init::run();
    }
    if guard::is_requested() {
        close_inherited();
        return guard::run();
    }
    if commands::is_detached() {
        close_inherited();
    }
    #[cfg(debug_assertions)]
    if let Some(order) = std::env::var_os("MITOSIS_CRASH_POINT") {
        mitosis_domain::failpoints::arm(&order.to_string_lossy());
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return clap_exit(&answer),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note!("mito: cannot start threads: {error}");
            return Exit::Fault.into();
        }
    };
    let outcome = runtime.block_on(commands::run(cli, &Environment::take()));
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    outcome.unwrap_or_else(|failure| {
        if !failure.is_quiet() {
            note!("{failure}");
        }
        failure.exit().into()
    })
}

/// Closes inherited file descriptors: locks of a script, for example, which would be held for as long as this process
/// lives.
fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > LAST_STANDARD_STREAM) {
        // The descriptor of the listing itself is closed already.
        let _ = nix::unistd::close(descriptor);
    }
}

/// Prints the requested help, or reports an invalid command line.
fn clap_exit(answer: &clap::Error) -> ExitCode {
    if !answer.use_stderr() || answer.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // If the reader is gone, there is no one to inform.
        let _ = answer.print();
    } else {
        note!("{}", Failure::usage(answer, None));
    }
    u8::try_from(answer.exit_code()).unwrap_or(Exit::Usage as u8).into()
}
