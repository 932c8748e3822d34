//! Runs the commands, one file per verb.

mod cancel;
mod change_job;
mod client;
mod completions;
mod config;
mod coordinator;
mod dev;
mod doctor;
mod limits;
mod logs;
mod ls;
mod man;
mod manager;
mod notify_command;
mod open;
mod results;
mod retry;
mod rm;
mod run;
mod schedule;
mod secrets;
mod select;
mod select_jobs;
mod show;
mod submit;
mod top;
mod wait;
mod worker;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::process::version;

/// Whether this process runs in the background, apart from the one that started it.
pub(crate) fn is_detached() -> bool {
    manager::is_detached_supervisor() || dev::is_detached()
}

/// Runs the command of the command line.
pub(crate) async fn run(cli: Cli, environment: &Environment) -> Result<ExitCode, Failure> {
    if needs_folders(&cli.command) {
        environment.check_folders()?;
    }
    match cli.command {
        Command::Coordinator(args) => coordinator::run(&args, environment).await,
        Command::Worker(args) => worker::run(&args, environment).await,
        Command::Client(args) => client::run(&args, environment).await,
        Command::Manager(command) => manager::run(&command, environment).await,
        Command::Run(args) => run::run(&args, environment).await,
        Command::Submit(args) => submit::run(&args, environment).await,
        Command::Ls(args) => ls::run(&args, environment).await,
        Command::Top(args) => top::run(&args, environment).await,
        Command::Open(args) => open::run(&args, environment).await,
        Command::Show(args) => show::run(&args, environment).await,
        Command::Logs(args) => logs::run(&args, environment).await,
        Command::Wait(args) => wait::run(&args, environment).await,
        Command::Cancel(args) => cancel::run(&args, environment).await,
        Command::Rm(args) => rm::run(&args, environment).await,
        Command::Pause(args) => change_job::pause(&args, environment).await,
        Command::Resume(args) => change_job::resume(&args, environment).await,
        Command::Priority(args) => change_job::priority(&args, environment).await,
        Command::Schedule(command) => schedule::run(&command, environment).await,
        Command::Limits(command) => limits::run(&command, environment).await,
        Command::Secrets(command) => secrets::run(&command, environment).await,
        Command::Retry(args) => retry::run(&args, environment).await,
        Command::Results(args) => results::run(&args, environment).await,
        Command::Login(short) => client::run(&short.into(), environment).await,
        Command::Logout(short) => client::run(&short.into(), environment).await,
        Command::Whoami(short) => client::run(&short.into(), environment).await,
        Command::Groups(short) => client::run(&(*short).into(), environment).await,
        Command::Files(short) => client::run(&(*short).into(), environment).await,
        Command::Workers(short) => client::run(&(*short).into(), environment).await,
        Command::Admin(short) => client::run(&(*short).into(), environment).await,
        Command::Dev(args) => dev::run(&args, environment).await,
        Command::Doctor(args) => doctor::run(&args, environment).await,
        Command::Config(command) => config::run(&command, environment),
        Command::Completions { shell } => completions::script(shell),
        Command::Complete { words } => completions::complete(&words, environment).await,
        Command::Man { out } => man::man(&out),
        Command::Version { long } => {
            let version = if long { version::LONG } else { version::SHORT };
            crate::show::line(format_args!("mito {version}")).map(|()| ExitCode::SUCCESS)
        }
    }
}

/// Whether a command uses the directories of its user.
const fn needs_folders(command: &Command) -> bool {
    !matches!(
        command,
        Command::Completions { .. }
            | Command::Complete { .. }
            | Command::Man { .. }
            | Command::Version { .. }
    )
}
