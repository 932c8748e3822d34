//! `mito manager`: workers of this machine, kept by a supervisor (command line §10).

mod drain;
mod kill;
mod logs;
mod spawn;
mod status;
mod supervise;
mod systemd;

use std::process::ExitCode;

use crate::cli::manager::ManagerCommand;
use crate::config::Environment;
use crate::manager::place::Place;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

pub(super) async fn run(command: &ManagerCommand, environment: &Environment) -> Result<ExitCode, Failure> {
    let place = Place::of(environment);
    let done = match command {
        ManagerCommand::Status(args) => status::run(args, &place, environment).await,
        ManagerCommand::Spawn(args) => spawn::run(args, &place, environment).await,
        ManagerCommand::Drain(args) => drain::run(args, &place).await,
        ManagerCommand::Kill(args) => kill::run(args, &place).await,
        ManagerCommand::Logs(args) => logs::run(args, &place).await,
        ManagerCommand::Systemd(command) => systemd::run(command, environment).await,
        ManagerCommand::Supervise { detached } => supervise::run(&place, *detached, environment).await,
    };
    done.map(|()| ExitCode::SUCCESS).map_err(with_the_one_code)
}

/// Failures of the manager have status 1, as they always had.
fn with_the_one_code(failure: Failure) -> Failure {
    match failure.is_quiet() || failure.exit() == Exit::Usage {
        true => failure,
        false => failure.with_exit(Exit::Failure),
    }
}
