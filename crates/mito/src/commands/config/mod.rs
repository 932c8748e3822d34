//! `mito config`: shows the configuration.

mod show;

use std::process::ExitCode;

use crate::cli::config::ConfigCommand;
use crate::config::Environment;
use crate::process::failure::Failure;

pub(super) fn run(command: &ConfigCommand, environment: &Environment) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Show(args) => show::show(args, environment),
    }
}
