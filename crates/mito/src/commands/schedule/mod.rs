//! `mito schedule`: jobs that are submitted at the times of a cron expression.

mod add;
mod change;
mod history;
mod ls;
mod rm;
mod run_now;
mod select;
mod show;

use std::process::ExitCode;

use crate::cli::connection::ConnectionArgs;
use crate::cli::schedule::ScheduleCommand;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::process::logging;

pub(super) async fn run(command: &ScheduleCommand, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    match command {
        ScheduleCommand::Add(args) => add::run(args, environment).await?,
        ScheduleCommand::Ls(args) => ls::run(args, environment).await?,
        ScheduleCommand::Show(args) => show::run(args, environment).await?,
        ScheduleCommand::Pause(args) => change::pause(args, environment).await?,
        ScheduleCommand::Resume(args) => change::resume(args, environment).await?,
        ScheduleCommand::Run(args) => run_now::run(args, environment).await?,
        ScheduleCommand::Rm(args) => rm::run(args, environment).await?,
        ScheduleCommand::History(args) => history::run(args, environment).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Logs in, and checks that the coordinator has schedules.
async fn identity(connection: &ConnectionArgs, environment: &Environment) -> Result<Identity, Failure> {
    let identity = Identity::from_options(connection, environment).await?;
    identity.client.require("`mito schedule`").await?;
    Ok(identity)
}
