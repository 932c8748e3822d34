//! `mito manager systemd`: workers and a coordinator as systemd user units.

mod install;
mod uninstall;
mod unit;

use std::path::PathBuf;

use crate::cli::manager::SystemdCommand;
use crate::config::Environment;
use crate::process::failure::Failure;

pub(super) async fn run(command: &SystemdCommand, environment: &Environment) -> Result<(), Failure> {
    match command {
        SystemdCommand::Install(args) => install::run(args, environment).await,
        SystemdCommand::InstallCoordinator(args) => install::coordinator(args, environment),
        SystemdCommand::Uninstall { name } => {
            let files = Files::of(name, environment);
            let of_coordinator = Files::of_coordinator(name, environment);
            uninstall::run(if of_coordinator.unit.exists() { &of_coordinator } else { &files })
        }
    }
}

/// The files of a unit.
struct Files {
    name: String,
    /// The unit, a template with an instance for each worker.
    unit: PathBuf,
    /// The environment file of the workers, including secrets.
    environment: PathBuf,
}

impl Files {
    /// The files of a coordinator, whose unit is no template.
    fn of_coordinator(name: &str, environment: &Environment) -> Self {
        let files = Self::of(name, environment);
        let unit = files.unit.with_file_name(format!("{name}.service"));
        Self { unit, ..files }
    }

    fn of(name: &str, environment: &Environment) -> Self {
        let folder = environment.config_folder();
        let systemd = folder.with_file_name("systemd").join("user");
        Self {
            name: name.to_owned(),
            unit: systemd.join(format!("{name}@.service")),
            environment: folder.join(format!("{name}.env")),
        }
    }
}
