//! `mito secrets`: the secrets of a group.

mod list;
mod remove;
mod set;

use std::process::ExitCode;

use crate::cli::secrets::{OfGroup, SecretsCommand};
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::process::logging;

pub(super) async fn run(command: &SecretsCommand, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    match command {
        SecretsCommand::List(args) => list::run(args, environment).await?,
        SecretsCommand::Set(args) => set::run(args, environment).await?,
        SecretsCommand::Remove(args) => remove::run(args, environment).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Logs in; returns the group, too: the user's own unless another is given.
async fn of_group(of: &OfGroup, environment: &Environment) -> Result<(Identity, String), Failure> {
    let identity = Identity::from_options(&of.connection, environment).await?;
    identity.client.require("`mito secrets`").await?;
    let group = of.group.as_ref().unwrap_or(&identity.name).clone();
    Ok((identity, group))
}
