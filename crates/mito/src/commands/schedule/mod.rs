//! `mito schedule`: jobs that are submitted at the times of a cron expression.

mod add;
mod change;
mod edit;
mod history;
mod ls;
mod rm;
mod run_now;
mod select;
mod show;

use std::process::ExitCode;

use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::schedule::Timetable;

use crate::cli::connection::ConnectionArgs;
use crate::cli::schedule::ScheduleCommand;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;

pub(super) async fn run(command: &ScheduleCommand, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    match command {
        ScheduleCommand::Add(args) => add::run(args, environment).await?,
        ScheduleCommand::Edit(args) => edit::run(args, environment).await?,
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

/// Checks a cron expression and a time zone, before anything is sent.
fn check_times(cron: &str, timezone: &str) -> Result<(), Failure> {
    let checked = Timetable::check(cron, timezone, SystemClock.now());
    checked.map(drop).map_err(|error| {
        let hint = error.hint();
        Failure::new(Exit::Usage, error).with_hint(hint)
    })
}

/// Logs in, and checks that the coordinator has schedules.
async fn identity(connection: &ConnectionArgs, environment: &Environment) -> Result<Identity, Failure> {
    let identity = Identity::from_options(connection, environment).await?;
    identity.client.require("`mito schedule`").await?;
    Ok(identity)
}
