//! `mito client`.

mod auth;
mod login;
mod tasks;
mod users;

use std::process::ExitCode;

use crate::cli::client::{ClientArgs, ClientCommand};
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Role};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::logging;

pub(super) async fn run(args: &ClientArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND, None)?;
    let layers = Layers::load(Role::Client, args.config.as_deref(), args.options(), environment)?;
    let config = ClientConfig::new(&layers, environment);
    match &args.command {
        ClientCommand::Login(args) => login::login(args, &config).await?,
        ClientCommand::Auth => auth::auth(&Identity::establish(&config).await?)?,
        ClientCommand::Users(command) => users::run(command, &config).await?,
        ClientCommand::Tasks(command) => tasks::run(command, &Identity::establish(&config).await?).await?,
    }
    Ok(ExitCode::SUCCESS)
}
