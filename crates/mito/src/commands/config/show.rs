//! `mito config show`: shows every key of a role, its value, and its origin.

use std::process::ExitCode;

use crate::cli::config::ShowArgs;
use crate::config::{Environment, Layers, Options, Role};
use crate::process::failure::Failure;
use crate::show::{Output, Setting};

/// The value without secrets.
pub(super) fn show(args: &ShowArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let role = Role::from(args.role);
    let layers = Layers::load(role, args.config.as_deref(), Options::default(), environment)?;
    let out = Output::new(&args.output, environment);
    let mut rows = out.sentences();
    for key in role.entries() {
        let (value, origin) = match layers.lookup(key.name) {
            Some((value, origin)) => (Some(value.shown()), origin.precise(key.name)),
            None => match key.default_value(environment) {
                Some(default) => (Some(default.shown()), "default".to_owned()),
                None => (None, "not set".to_owned()),
            },
        };
        let value = value.map(|value| key.redacted(&value));
        rows.push(&Setting::new(key.name, value, origin, args.origin))?;
    }
    rows.finish()?;
    Ok(ExitCode::SUCCESS)
}
