//! `mito manager systemd install`: writes a unit for workers with the options and the environment of this command.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::Files;
use super::unit::{Role, Unit, Unwritable, variable};
use crate::cli::manager::{InstallArgs, InstallCoordinatorArgs};
use crate::commands::manager::spawn::{self, PASSWORD};
use crate::config::Environment;
use crate::process::atomic_file;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show;

/// Additional variables that affect a worker and its commands.
const ALSO: [&str; 4] = ["PATH", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "RUST_LOG"];

pub(super) async fn run(args: &InstallArgs, environment: &Environment) -> Result<(), Failure> {
    let files = Files::of(&args.name, environment);
    let (client, groups) = spawn::checked(&args.worker, environment)?;
    let unit = unit(args, &files)?;
    if args.print {
        return show::line(format_args!("# {}\n{}", files.unit.display(), unit.trim_end()));
    }
    let variables = variables(client.password.as_ref(), environment).map_err(unwritable)?;
    spawn::log_in(&client, &groups).await?;
    write(&files.environment, &variables, 0o600)?;
    write(&files.unit, &unit, 0o644)?;
    show::line(format_args!("wrote {}", files.unit.display()))?;
    show::line(format_args!("wrote {}, readable only by you", files.environment.display()))?;
    let name = &files.name;
    note!("To start two workers, now and whenever you log in:");
    note!("  systemctl --user daemon-reload");
    note!("  systemctl --user enable --now {name}@1 {name}@2");
    note!("To keep them when you log out, and start them with the machine:");
    note!("  loginctl enable-linger");
    Ok(())
}

fn unit(args: &InstallArgs, files: &Files) -> Result<String, Failure> {
    let failed = |error| Failure::io("cannot determine the path of this program", error);
    let program = std::env::current_exe().map_err(failed)?;
    let folder = std::env::current_dir().map_err(failed)?;
    let unit = Unit {
        role: Role::Worker,
        program: &program,
        words: &args.worker.words,
        folder: &folder,
        environment: &files.environment,
    };
    unit.text().map_err(unwritable)
}

/// Writes the unit of a coordinator. Its secrets are in its config file.
pub(super) fn coordinator(args: &InstallCoordinatorArgs, environment: &Environment) -> Result<(), Failure> {
    let files = Files::of_coordinator(&args.name, environment);
    let failed = |error| Failure::io("cannot determine the path of this program", error);
    let program = std::env::current_exe().map_err(failed)?;
    let folder = std::env::current_dir().map_err(failed)?;
    let mut words = Vec::new();
    if let Some(config) = &args.config {
        let config = std::path::absolute(config)
            .map_err(|error| Failure::io("cannot determine the path of the config file", error))?;
        let mut word = std::ffi::OsString::from("--config=");
        word.push(config);
        words.push(word);
    }
    let unit = Unit {
        role: Role::Coordinator,
        program: &program,
        words: &words,
        folder: &folder,
        environment: &files.environment,
    };
    let unit = unit.text().map_err(unwritable)?;
    if args.print {
        return show::line(format_args!("# {}\n{}", files.unit.display(), unit.trim_end()));
    }
    let variables = variables(None, environment).map_err(unwritable)?;
    write(&files.environment, &variables, 0o600)?;
    write(&files.unit, &unit, 0o644)?;
    show::line(format_args!("wrote {}", files.unit.display()))?;
    show::line(format_args!("wrote {}, readable only by you", files.environment.display()))?;
    let name = &files.name;
    note!("To start it, now and whenever you log in:");
    note!("  systemctl --user daemon-reload");
    note!("  systemctl --user enable --now {name}");
    note!("To keep it when you log out, and start it with the machine:");
    note!("  loginctl enable-linger");
    Ok(())
}

fn variables(password: Option<&SecretString>, environment: &Environment) -> Result<String, Unwritable> {
    let decides =
        |name: &OsStr| name.as_encoded_bytes().starts_with(b"MITO_") || ALSO.iter().any(|also| name == *also);
    let mut text = String::from("# Written by `mito manager systemd install`. It can hold a password.\n");
    for (name, value) in environment.all().filter(|(name, _)| decides(name) && *name != PASSWORD) {
        text.push_str(&variable(name, value)?);
    }
    text.push_str(&variable("NO_COLOR".as_ref(), "1".as_ref())?);
    if let Some(password) = password {
        let value = spawn::as_a_variable(password);
        text.push_str(&variable(PASSWORD.as_ref(), value.expose_secret().as_ref())?);
    }
    Ok(text)
}

fn unwritable(error: Unwritable) -> Failure {
    Failure::new(Exit::Failure, error)
}

/// Writes a file atomically, with the given mode.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    put(path, text, mode).map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))
}

fn put(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    atomic_file::replace(path, text.as_bytes(), mode)
}
