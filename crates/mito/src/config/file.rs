//! Configuration files: where they are, and what they say.

use std::io;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin};
use super::keys::{Key, Role, nearest};
use super::value::Value;

/// Above everything, for every role.
pub(super) const GLOBAL: &str = "global";
/// Read by old versions, and without effect there.
const DEFAULT: &str = "default";

/// What one file says to one role.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// From the role's own table.
    pub(super) own: Vec<(&'static Key, Value, Origin)>,
    /// From `[global]`.
    pub(super) global: Vec<(&'static Key, Value, Origin)>,
}

/// Looks for a file in `here` and in every folder above.
pub(super) fn find(name: &Path, here: &Path) -> Option<PathBuf> {
    here.ancestors().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Reads a file for a role; the tables of the other roles are checked too.
pub(super) fn read(path: &Path, role: Role) -> Result<Said, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let document: toml::Table = text.parse().map_err(|error| malformed(path, &text, &error))?;
    let mut said = Said::default();
    for (name, value) in &document {
        let Some(table) = value.as_table() else {
            return Err(ConfigError::UnknownKey {
                key: name.clone(),
                origin: Origin::File { path: path.to_owned(), table: String::new() },
                nearest: None,
            });
        };
        let origin = Origin::File { path: path.to_owned(), table: name.clone() };
        if name == GLOBAL {
            said.global = global(table, path, &origin, role)?;
        } else if let Some(owner) = Role::ALL.into_iter().find(|role| role.table() == name) {
            let values = of_role(table, path, &origin, owner)?;
            if owner == role {
                said.own = values;
            }
        } else if name != DEFAULT {
            return Err(ConfigError::UnknownTable { table: name.clone(), path: path.to_owned() });
        }
    }
    Ok(said)
}

type Values = Vec<(&'static Key, Value, Origin)>;

fn of_role(table: &toml::Table, path: &Path, origin: &Origin, role: Role) -> Result<Values, ConfigError> {
    table
        .iter()
        .map(|(name, value)| {
            let key = role.key(name).ok_or_else(|| unknown(name, origin, &[role]))?;
            fitted(key, value, path, origin)
        })
        .collect()
}

/// Keys of other roles are fine here, and mean nothing to this one.
fn global(table: &toml::Table, path: &Path, origin: &Origin, role: Role) -> Result<Values, ConfigError> {
    let mut values = Values::new();
    for (name, value) in table {
        match role.key(name) {
            Some(key) => values.push(fitted(key, value, path, origin)?),
            None if Role::ALL.into_iter().any(|role| role.key(name).is_some()) => {}
            None => return Err(unknown(name, origin, &Role::ALL)),
        }
    }
    Ok(values)
}

fn fitted(
    key: &'static Key,
    value: &toml::Value,
    path: &Path,
    origin: &Origin,
) -> Result<(&'static Key, Value, Origin), ConfigError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let value = Value::from_toml(key.kind, value, folder).map_err(|source| ConfigError::Misfit {
        key: key.name,
        origin: origin.clone(),
        source,
    })?;
    Ok((key, value, origin.clone()))
}

fn unknown(name: &str, origin: &Origin, roles: &[Role]) -> ConfigError {
    let known = roles.iter().flat_map(|role| role.keys()).map(|key| key.name);
    ConfigError::UnknownKey { key: name.to_owned(), origin: origin.clone(), nearest: nearest(name, known) }
}

/// The parser's own text quotes the line, which can hold a secret; so only where and what.
fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let upto = error.span().map_or(0, |span| span.start).min(text.len());
    let line = text[..upto].matches('\n').count() + 1;
    ConfigError::Malformed { path: path.to_owned(), line, message: error.message().to_owned() }
}

/// Makes a relative path absolute, so that it means the same for the rest of the run.
pub(super) fn working_folder() -> Result<PathBuf, ConfigError> {
    std::env::current_dir().map_err(|source: io::Error| ConfigError::Unreadable { path: ".".into(), source })
}
