//! `mito manager`: workers of this machine under a supervisor (command line §10).

mod drain;
mod kill;
mod logs;
mod spawn;
mod status;
mod supervise;
mod systemd;

use std::process::ExitCode;

use mitosis_supervisor::StateDir;

use crate::cli::manager::ManagerCommand;
use crate::config::Environment;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// The arguments that start a supervisor in the background.
const DETACHED: [&str; 3] = ["manager", "supervise", "--detached"];

/// Whether this process is a detached supervisor.
pub(crate) fn is_detached_supervisor() -> bool {
    std::env::args_os().skip(1).eq(DETACHED)
}

pub(super) async fn run(command: &ManagerCommand, environment: &Environment) -> Result<ExitCode, Failure> {
    let dir = StateDir::new(&environment.cache_folder());
    let done = match command {
        ManagerCommand::Status(args) => status::run(args, &dir, environment).await,
        ManagerCommand::Spawn(args) => spawn::run(args, &dir, environment).await,
        ManagerCommand::Drain(args) => drain::run(args, &dir).await,
        ManagerCommand::Kill(args) => kill::run(args, &dir).await,
        ManagerCommand::Logs(args) => logs::run(args, &dir).await,
        ManagerCommand::Systemd(command) => systemd::run(command, environment).await,
        ManagerCommand::Supervise { detached } => supervise::run(&dir, *detached, environment).await,
    };
    done.map(|()| ExitCode::SUCCESS).map_err(with_the_one_code)
}

/// Failures of the manager exit with 1, as the contract requires.
fn with_the_one_code(failure: Failure) -> Failure {
    match failure.is_quiet() || failure.exit() == Exit::Usage {
        true => failure,
        false => failure.with_exit(Exit::Failure),
    }
}
