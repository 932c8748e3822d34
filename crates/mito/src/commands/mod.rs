//! What each command does, one file per verb.

mod client;
mod coordinator;
mod dev;
mod doctor;
mod manager;
mod results;
mod retry;
mod run;
mod submit;
mod worker;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::config::Environment;
use crate::failure::Failure;

/// Does what the command line asks for.
pub(crate) async fn run(cli: Cli, environment: &Environment) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Coordinator(args) => coordinator::run(&args, environment).await,
        Command::Worker(args) => worker::run(&args, environment).await,
        Command::Client(args) => client::run(&args, environment).await,
        Command::Manager(command) => manager::run(&command, environment).await,
        Command::Run(args) => run::run(&args, environment).await,
        Command::Submit(args) => submit::run(&args, environment).await,
        Command::Retry(args) => retry::run(&args, environment).await,
        Command::Results(args) => results::run(&args, environment).await,
        Command::Dev(args) => dev::run(&args, environment).await,
        Command::Doctor(args) => doctor::run(&args, environment).await,
    }
}
