//! Configuration files: where they are, and what they say.

use std::io;
use std::path::{Path, PathBuf};

use super::defaults;
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
            return Err(ConfigError::OutsideTable {
                key: name.clone(),
                path: path.to_owned(),
                nearest: nearest(name, Role::ALL.iter().flat_map(|role| role.keys()).map(|key| key.name)),
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
            let tables = Role::ALL.into_iter().map(Role::table).chain([GLOBAL]);
            return Err(ConfigError::UnknownTable {
                table: name.clone(),
                path: path.to_owned(),
                nearest: nearest(name, tables),
            });
        }
    }
    Ok(said)
}

/// Whether a file holds something that nobody else may know.
pub(crate) fn has_secrets(path: &Path) -> Result<bool, ConfigError> {
    let is_secret = |(key, value, _): &(&'static Key, Value, Origin)| {
        let shown = value.shown();
        defaults::without_secrets(key.name, &shown) != shown
    };
    for role in Role::ALL {
        let Said { own, global } = read(path, role)?;
        if own.iter().chain(&global).any(is_secret) {
            return Ok(true);
        }
    }
    Ok(false)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The keys that a table of the example has, set or in a comment.
    fn keys_of(text: &str, table: &str) -> BTreeSet<String> {
        let (_, rest) = text.split_once(&format!("\n[{table}]\n")).expect(table);
        let own = rest.split("\n[").next().unwrap_or_default();
        let key = |line: &str| {
            let (name, _) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")?;
            let is_name =
                |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
            name.chars().all(is_name).then(|| name.to_owned())
        };
        own.lines().filter_map(key).collect()
    }

    #[test]
    fn the_example_has_every_key_there_is_and_no_other() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.example.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        for role in Role::ALL {
            let known: BTreeSet<String> = role.keys().iter().map(|key| key.name.to_owned()).collect();
            assert_eq!(keys_of(&text, role.table()), known, "{role:?}");
            read(&path, role).unwrap();
        }
    }
}
