//! `mito config show`: every key of a role, its value, and where that comes from.

use std::process::ExitCode;

use crate::cli::config::ShowArgs;
use crate::config::{Environment, Layers, Options, Role, defaults};
use crate::failure::Failure;
use crate::show;

/// Secrets are never shown, only that there are some.
pub(super) fn show(args: &ShowArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let role = Role::from(args.role);
    let layers = Layers::load(role, args.config.as_deref(), Options::default(), environment)?;
    for key in role.keys() {
        let (value, origin) = match layers.told(key.name) {
            Some((value, origin)) => (value.shown(), origin.precise(key.name)),
            None => match defaults::of(role, key.name, environment) {
                Some(default) => (default, "default".to_owned()),
                None => (String::new(), "not set".to_owned()),
            },
        };
        let value = defaults::without_secrets(key.name, &value);
        match args.origin {
            true => show::line(format_args!("{:<26} {value:<40} {origin}", key.name))?,
            false => show::line(format_args!("{:<26} {value}", key.name))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}
