//! `mito dev`: runs a complete system in one process, with persistent data.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::dev::DevArgs;
use crate::commands::worker::inherited_env;
use crate::config::Environment;
use crate::embedded::running_instance;
use crate::embedded::{Embedded, USER};
use crate::login::credentials::CredentialsFile;
use crate::login::identity;
use crate::process::available_cpus;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::process::signals::StopRequests;
use crate::show;

pub(super) async fn run(args: &DevArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let home = home(args, environment)?;
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let mut requests = StopRequests::listen_on_terminal()?;
    let slots = args.slots.map_or_else(available_cpus, usize::from);
    let mut system = Embedded::start(&home, args.bind, slots, inherited_env(environment, None)).await?;
    let credentials = CredentialsFile::new(home.join("credentials"), system.user().client().address());
    identity::store_token(&credentials, USER, system.token())?;
    if let Err(error) = running_instance::record(&home, system.user().client().address()) {
        tracing::warn!(%error, "cannot record the address for a second start on this data");
    }
    welcome(&system, &home, slots);
    tokio::select! {
        ended = system.finished() => ended?,
        signal = requests.next() => tracing::info!(signal, "stopping"),
    }
    tokio::select! {
        stopped = system.stop() => stopped?,
        _ = requests.next() => return Ok(Exit::Failure.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn home(args: &DevArgs, environment: &Environment) -> Result<PathBuf, Failure> {
    let home = args.data.clone().unwrap_or_else(|| environment.data_folder().join("dev"));
    std::path::absolute(&home).map_err(|error| Failure::io("cannot determine the current directory", error))
}

fn welcome(system: &Embedded, home: &Path, slots: usize) {
    let address = system.user().client().address();
    let lines = [
        format!("mitosis is ready at {address}"),
        format!("  data      {}", home.display()),
        format!("  slots     {slots}"),
        format!("  user      {USER}"),
        format!("  password  in {}", home.join("password").display()),
        "In another terminal, paste:".to_owned(),
        format!("  {}", running_instance::connect_command(address, home)),
        "and try: mito run -- echo hello".to_owned(),
    ];
    // An error while writing the message is ignored.
    if let Err(failure) = show::line(lines.join("\n")) {
        tracing::debug!(%failure, "cannot print the address");
    }
}
