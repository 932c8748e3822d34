//! `mito dev`: runs a complete system in one process, with persistent data.

mod detach;
mod running_tasks;
mod status;
mod stop;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mitosis_client::{Client, UserClient};
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::entropy::OsEntropy;
use nix::unistd::setsid;

use super::open::link;
use crate::cli::dev::{DevArgs, DevCommand, StartArgs};
use crate::commands::worker::inherited_env;
use crate::config::instances::{Description, Registration, connect_command};
use crate::config::{Environment, Instance};
use crate::embedded::{Embedded, USER};
use crate::login::credentials::CredentialsFile;
use crate::login::identity;
use crate::process::available_cpus;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::process::signals::StopRequests;
use crate::show;

pub(super) use detach::is_detached;

pub(super) async fn run(args: &DevArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    match &args.command {
        None if args.start.detach => detach::start(&args.start, environment).await,
        None => serve(&args.start, environment).await,
        Some(DevCommand::Status(args)) => status::run(args, environment).await,
        Some(DevCommand::Stop(args)) => stop::run(args, environment).await,
    }
}

/// Runs the system until it is stopped.
async fn serve(args: &StartArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let home = home(args.data.data.as_deref(), environment)?;
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    if args.detached {
        setsid().map_err(|error| Failure::io("cannot detach from the terminal", error.into()))?;
    }
    let mut requests = StopRequests::listen_on_terminal()?;
    let slots = args.slots.map_or_else(available_cpus, usize::from);
    let inherited = inherited_env(environment, None);
    let mut system = Embedded::start(&home, args.bind, slots, inherited, environment).await?;
    let credentials = CredentialsFile::new(home.join("credentials"), system.user().client().address());
    identity::store_token(&credentials, USER, system.token())?;
    let registration = register(&system, &home, args.detached, environment);
    let page = link::to("/", system.user()).await?;
    welcome(&system, &home, slots, &page, registration.is_some());
    if let Some(command) = link::tunnel(system.user().client().address(), environment) {
        note!("mito: to reach the page from your own machine: {command}");
    }
    if args.detached {
        detach::announce_ready();
    }
    tokio::select! {
        ended = system.finished() => ended?,
        signal = requests.next() => {
            tracing::info!(signal, "stopping");
            announce_stop(&system).await;
        }
    }
    tokio::select! {
        stopped = system.stop() => stopped?,
        _ = requests.next() => return Ok(Exit::Failure.into()),
    }
    drop(registration);
    Ok(ExitCode::SUCCESS)
}

/// The absolute path of the data folder.
fn home(data: Option<&Path>, environment: &Environment) -> Result<PathBuf, Failure> {
    let home = data.map_or_else(|| environment.data_folder().join("dev"), Path::to_owned);
    std::path::absolute(&home).map_err(|error| Failure::io("cannot determine the current directory", error))
}

/// A client with the stored token of an instance. `None` if it has none.
fn client(instance: &Instance) -> Result<Option<UserClient>, Failure> {
    let file = CredentialsFile::new(instance.credentials.clone(), &instance.address);
    let stored = file.find(Some(USER)).map_err(|error| {
        Failure::io(format!("cannot read the credentials in {}", file.path().display()), error)
    })?;
    let client = Client::new(&instance.address)?;
    Ok(stored.map(|(_, token)| client.with_user_token(token)))
}

/// Lets other commands of this user find the system. It also works without that.
fn register(
    system: &Embedded,
    home: &Path,
    detached: bool,
    environment: &Environment,
) -> Option<Registration> {
    let description = Description {
        address: system.user().client().address().to_owned(),
        data: home.to_owned(),
        credentials: home.join("credentials"),
        started_at: SystemClock.now(),
        log: detached.then(|| detach::log_file(home)),
    };
    Registration::create(description, environment, &OsEntropy)
        .inspect_err(|error| note!("mito: other commands can't find this system: {error}"))
        .ok()
}

fn welcome(system: &Embedded, home: &Path, slots: usize, page: &str, is_registered: bool) {
    let address = system.user().client().address();
    let credentials = home.join("credentials");
    let connect = connect_command(address, &credentials);
    let mut lines = vec![
        format!("mitosis is ready at {address}"),
        format!("  page      {page}"),
        format!("  data      {}", home.display()),
        format!("  slots     {slots}"),
        format!("  user      {USER}"),
        format!("  password  in {}", home.join("password").display()),
    ];
    if is_registered {
        lines.push("In another terminal, try: mito run -- echo hello".to_owned());
        lines.push("Where a coordinator is configured, this selects the system here:".to_owned());
    } else {
        lines.push("In another terminal, paste:".to_owned());
    }
    lines.push(format!("  {connect}"));
    // An error while writing the message is ignored.
    if let Err(failure) = show::line(lines.join("\n")) {
        tracing::debug!(%failure, "cannot print the address");
    }
}

/// Says which tasks the stop interrupts.
async fn announce_stop(system: &Embedded) {
    match running_tasks::count(system.user()).await {
        Ok(0) => {}
        Ok(count) => note!("mito: stopping {}", running_tasks::consequence(count)),
        Err(error) => tracing::debug!(%error, "cannot count the running tasks"),
    }
}
