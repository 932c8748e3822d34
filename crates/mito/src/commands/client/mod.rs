//! `mito client`, a file per verb.

mod admin;
mod auth;
mod cmd;
mod extract;
mod groups;
mod interactive;
mod login;
mod logout;
mod partial_failure;
mod roles;
mod session;
pub(super) mod tasks;
mod tokens;
mod transfer;
mod users;
mod workers;

use mitosis_protocol::ShellCode;
use std::process::ExitCode;

use self::session::Session;
use crate::cli::client::{ClientArgs, ClientCommand};
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Role};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::{Output, OutputArgs};

/// What to do after a successful command.
enum Next {
    Continue,
    /// Exit: the session has ended.
    Quit,
    /// Exit with the code of a local command.
    Exit(ShellCode),
}

pub(super) async fn run(args: &ClientArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let config = args.connection.config.as_deref();
    let layers = Layers::load(Role::Client, config, args.options(), environment)?;
    let mut session = Session::new(environment, ClientConfig::new(&layers, environment), args.output.clone());
    let out = session.output(&OutputArgs::default());
    match (&args.command, args.interactive) {
        (command, true) => interactive::run(command.as_ref(), &mut session).await,
        (Some(command), false) => Ok(match execute(command, &mut session, &out).await? {
            Next::Continue | Next::Quit => ExitCode::SUCCESS,
            Next::Exit(code) => code.into(),
        }),
        (None, false) => Err(Failure::new(Exit::Usage, "missing command")
            .with_hint("see `mito client --help` for all of them, or use `mito client -i`")),
    }
}

async fn execute(command: &ClientCommand, session: &mut Session<'_>, out: &Output) -> Result<Next, Failure> {
    match command {
        ClientCommand::Admin(command) => return admin::run(command, &session.identity().await?, out).await,
        ClientCommand::Auth => auth::auth(&session.identity().await?, out)?,
        ClientCommand::Login(args) => login::login(args, session, out).await?,
        ClientCommand::Logout(args) => logout::logout(args, session, out).await?,
        ClientCommand::Users(command) => users::run(command, session, out).await?,
        ClientCommand::Tokens(command) => tokens::run(command, &session.identity().await?, out).await?,
        ClientCommand::Groups(command) => groups::run(command, &session.identity().await?, out).await?,
        ClientCommand::Tasks(command) => return tasks::run(command, session, out).await,
        ClientCommand::Workers(command) => workers::run(command, &session.identity().await?, out).await?,
        ClientCommand::Cmd(args) => return cmd::cmd(args, session.environment).await,
        ClientCommand::Quit => return Ok(Next::Quit),
    }
    Ok(Next::Continue)
}
