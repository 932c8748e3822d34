//! `mito manager spawn`: starts workers in the background.

use std::ffi::{OsStr, OsString};

use mitosis_supervisor::{Launch, Reply, Request, StateDir, WorkerCommand, ask_or_start};
use secrecy::{ExposeSecret as _, SecretString};

use super::DETACHED;
use crate::cli::manager::{SpawnArgs, WorkerOptions};
use crate::commands::worker::check_groups;
use crate::config::client::ClientConfig;
use crate::config::worker::WorkerConfig;
use crate::config::{Environment, Layers, Role};
use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show;

/// Environment variable with the password of a worker: arguments are readable by all users.
pub(super) const PASSWORD: &str = "MITO_PASSWORD";

pub(super) async fn run(args: &SpawnArgs, dir: &StateDir, environment: &Environment) -> Result<(), Failure> {
    if args.count == 0 {
        note!("mito: 0 workers requested, none started");
        return Ok(());
    }
    let (client, groups) = checked(&args.worker, environment)?;
    log_in(&client, &groups).await?;
    let command = worker_command(args, client.password.as_ref(), environment)?;
    let request = Request::Spawn { count: args.count, command };
    match ask_or_start(dir, &request, &launch(environment)?).await? {
        Reply::Workers(workers) => show::managed_workers(&workers),
        _ => Err(Failure::new(Exit::Fault, "unexpected reply of the manager")),
    }
}

/// Checks the common configuration of the workers, so that they don't fail with it in their logs.
pub(super) fn checked(
    worker: &WorkerOptions,
    environment: &Environment,
) -> Result<(ClientConfig, Vec<String>), Failure> {
    let options = worker.args.options();
    let layers = Layers::load(Role::Worker, worker.args.config.as_deref(), options, environment)?;
    let groups = WorkerConfig::new(&layers, environment)?.registration.groups;
    Ok((ClientConfig::new(&layers, environment), groups))
}

/// Quotes a password, so that it is read verbatim.
pub(super) fn as_a_variable(password: &SecretString) -> SecretString {
    format!("\"{}\"", password.expose_secret()).into()
}

/// Stores a token for all workers, from the given password or a prompt.
pub(super) async fn log_in(client: &ClientConfig, groups: &[String]) -> Result<(), Failure> {
    let ready = async { check_groups(&Identity::establish(client).await?, groups).await };
    match ready.await {
        Ok(()) => Ok(()),
        Err(failure) if matches!(failure.exit(), Exit::Network | Exit::Fault) => {
            note!("{failure}\nmito: the workers will wait for it");
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

/// Starts the supervisor without secrets: they come with each request.
fn launch(environment: &Environment) -> Result<Launch, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::io("cannot start the manager", error))?;
    let is_own = |name: &OsStr| name.as_encoded_bytes().starts_with(b"MITO_");
    let variables = environment.all().filter(|(name, _)| !is_own(name));
    Ok(Launch {
        program,
        args: DETACHED.map(OsString::from).to_vec(),
        environment: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    })
}

fn worker_command(
    args: &SpawnArgs,
    password: Option<&SecretString>,
    environment: &Environment,
) -> Result<WorkerCommand, Failure> {
    let failed = |error| Failure::io("cannot prepare the command of the workers", error);
    let own = |(name, value): (&OsStr, &OsStr)| (name.to_owned(), value.to_owned());
    let mut variables: Vec<(OsString, OsString)> = environment.all().map(own).collect();
    variables.push(("NO_COLOR".into(), "1".into()));
    if environment.text("MITO_FILE_LOG_LEVEL").is_none() {
        variables.push(("MITO_FILE_LOG_LEVEL".into(), "info".into()));
    }
    if let Some(password) = password {
        variables.push((PASSWORD.into(), as_a_variable(password).expose_secret().into()));
    }
    Ok(WorkerCommand {
        program: std::env::current_exe().map_err(failed)?.into(),
        args: args.worker.words.clone(),
        environment: variables,
        working_dir: std::env::current_dir().map_err(failed)?.into(),
    })
}
