//! The `mito` binary: argv, configuration, roles and exit codes.
//!
//! `cli` says what can be asked for, `config` what was configured, `commands` does it. Only this file
//! decides how the process ends.

mod beside;
mod cli;
mod commands;
mod complete;
mod config;
mod credentials;
mod embedded;
mod ending;
mod exit;
mod failure;
mod follow;
mod guard;
mod identity;
mod lifecycle;
mod logging;
mod manager;
mod missing;
mod neighbour;
mod outage;
mod show;
mod streams;
mod sweep;
mod tally;
mod version;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::config::Environment;
use crate::exit::Exit;
use crate::failure::Failure;

/// How long threads that still work on files may hold up the end.
const LAST_WORK: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    if guard::is_wanted() {
        return guard::keep();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return told(&answer),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("mito: no threads can be started: {error}");
            return Exit::Fault.into();
        }
    };
    let outcome = runtime.block_on(commands::run(cli, &Environment::take()));
    runtime.shutdown_timeout(LAST_WORK);
    outcome.unwrap_or_else(|failure| {
        if !failure.is_quiet() {
            eprintln!("{failure}");
        }
        failure.exit().into()
    })
}

/// Prints help that was asked for, or says what is wrong with the command line.
fn told(answer: &clap::Error) -> ExitCode {
    if !answer.use_stderr() || answer.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Whoever does not read it has no use for another word.
        let _ = answer.print();
    } else {
        eprintln!("{}", Failure::misspelt(answer, "add --help to see what can be given"));
    }
    u8::try_from(answer.exit_code()).unwrap_or(Exit::Usage as u8).into()
}
