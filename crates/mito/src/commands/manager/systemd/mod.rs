//! `mito manager systemd`: workers as systemd user units.

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
        SystemdCommand::Uninstall { name } => uninstall::run(&Files::of(name, environment)),
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
