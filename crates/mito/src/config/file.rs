//! Finds and reads configuration files.

use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin};
use super::file_owner;
use super::keys::{Entry, Role, nearest};
use super::value::Value;

/// The table with the highest precedence, for all roles.
pub(super) const GLOBAL: &str = "global";
/// A table of old versions, which has no effect.
const DEFAULT: &str = "default";

/// The values of a file for one role.
#[derive(Debug, Default)]
pub(super) struct FileValues {
    /// Values of the role's table.
    pub(super) own: Vec<(&'static Entry, Value, Origin)>,
    /// Values of `[global]`.
    pub(super) global: Vec<(&'static Entry, Value, Origin)>,
    /// Warnings about entries without effect.
    pub(super) warnings: Vec<String>,
}

/// Searches for a file in `here` and in all parent directories.
pub(super) fn find(name: &Path, here: &Path) -> Option<PathBuf> {
    here.ancestors().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Reads a file for a role; the tables of the other roles are checked too.
///
/// An unknown name that is similar to a known one is an error. Any other unknown name may be for another program or
/// version, and gives a warning.
pub(super) fn read(path: &Path, role: Role) -> Result<FileValues, ConfigError> {
    let text = file_owner::read_config(path)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let document = DeTable::parse(text).map_err(|error| malformed(path, text, &error))?;
    let mut said = FileValues::default();
    for (name, value) in document.get_ref() {
        let name = name.get_ref().as_ref();
        let Some(table) = value.get_ref().as_table() else {
            said.warnings.push(outside_table(name, path)?);
            continue;
        };
        let origin = Origin::File { path: path.to_owned(), table: name.to_owned() };
        let source = Source { text, path, origin: &origin };
        if name == GLOBAL {
            said.global = source.global(table, role, &mut said.warnings)?;
        } else if let Some(owner) = Role::ALL.into_iter().find(|role| role.table() == name) {
            let mut warnings = Vec::new();
            let values = source.of_role(table, owner, &mut warnings)?;
            if owner == role {
                said.own = values;
                said.warnings.extend(warnings);
            }
        } else if name != DEFAULT {
            said.warnings.push(unknown_table(name, path)?);
        }
    }
    Ok(said)
}

fn outside_table(name: &str, path: &Path) -> Result<String, ConfigError> {
    let nearest = nearest(name, Role::ALL.iter().flat_map(|role| role.entries()).map(|key| key.name));
    let error = ConfigError::OutsideTable { key: name.to_owned(), path: path.to_owned(), nearest };
    refused_if_near(error, nearest)
}

fn unknown_table(name: &str, path: &Path) -> Result<String, ConfigError> {
    let nearest = nearest(name, Role::ALL.into_iter().map(Role::table).chain([GLOBAL]));
    let error = ConfigError::UnknownTable { table: name.to_owned(), path: path.to_owned(), nearest };
    refused_if_near(error, nearest)
}

fn refused_if_near(error: ConfigError, nearest: Option<&str>) -> Result<String, ConfigError> {
    match nearest {
        Some(_) => Err(error),
        None if matches!(error, ConfigError::OutsideTable { .. }) => Ok(format!("{error}, and is ignored")),
        None => Ok(format!("ignoring {error}")),
    }
}

/// Whether a file contains secrets.
pub(crate) fn has_secrets(path: &Path) -> Result<bool, ConfigError> {
    let is_secret = |(key, value, _): &(&'static Entry, Value, Origin)| {
        let shown = value.shown();
        key.redacted(&shown) != shown
    };
    for role in Role::ALL {
        let FileValues { own, global, .. } = read(path, role)?;
        if own.iter().chain(&global).any(is_secret) {
            return Ok(true);
        }
    }
    Ok(false)
}

type Values = Vec<(&'static Entry, Value, Origin)>;

/// A table of a file.
struct Source<'a> {
    text: &'a str,
    path: &'a Path,
    origin: &'a Origin,
}

impl Source<'_> {
    fn of_role(
        &self,
        table: &DeTable<'_>,
        role: Role,
        warnings: &mut Vec<String>,
    ) -> Result<Values, ConfigError> {
        self.values(table, &[role], warnings, |name| role.entry(name))
    }

    /// Keys of other roles are valid here and have no effect.
    fn global(
        &self,
        table: &DeTable<'_>,
        role: Role,
        warnings: &mut Vec<String>,
    ) -> Result<Values, ConfigError> {
        let mut values = self
            .values(table, &Role::ALL, warnings, |name| Role::ALL.iter().find_map(|role| role.entry(name)))?;
        values.retain(|(key, _, _)| role.entry(key.name).is_some());
        Ok(values)
    }

    fn values(
        &self,
        table: &DeTable<'_>,
        roles: &[Role],
        warnings: &mut Vec<String>,
        key: impl Fn(&str) -> Option<&'static Entry>,
    ) -> Result<Values, ConfigError> {
        let mut values = Values::new();
        for (name, value) in table {
            match key(name.get_ref()) {
                Some(key) => values.push(self.fitted(key, value)?),
                None => warnings.push(self.unknown(name.get_ref(), roles)?),
            }
        }
        Ok(values)
    }

    fn fitted(
        &self,
        key: &'static Entry,
        value: &toml::Spanned<DeValue<'_>>,
    ) -> Result<(&'static Entry, Value, Origin), ConfigError> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let written = &self.text[value.span()];
        let value = Value::from_toml(key.kind, value.get_ref(), written, folder).map_err(|source| {
            ConfigError::InvalidValue { key: key.name, origin: self.origin.clone(), source }
        })?;
        Ok((key, value, self.origin.clone()))
    }

    /// A key of another role is not misspelled.
    fn unknown(&self, name: &str, roles: &[Role]) -> Result<String, ConfigError> {
        let owners: Vec<String> = Role::ALL
            .into_iter()
            .filter(|role| role.entry(name).is_some())
            .map(|role| format!("[{}]", role.table()))
            .collect();
        if !owners.is_empty() {
            let (origin, owners) = (self.origin, owners.join(" or "));
            return Ok(format!("`{name}` in {origin} has no effect there: it is a key of {owners}"));
        }
        let nearest = nearest(name, roles.iter().flat_map(|role| role.entries()).map(|key| key.name));
        let error = ConfigError::UnknownKey { key: name.to_owned(), origin: self.origin.clone(), nearest };
        refused_if_near(error, nearest)
    }
}

/// The message of the parser quotes the line, which can have a secret; so only the position and the problem are shown.
fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let upto = error.span().map_or(0, |span| span.start).min(text.len());
    let line = text[..upto].matches('\n').count() + 1;
    ConfigError::Malformed { path: path.to_owned(), line, message: error.message().to_owned() }
}

/// Makes a relative path absolute, so that it stays valid for the rest of the run.
pub(super) fn working_folder() -> Result<PathBuf, ConfigError> {
    std::env::current_dir().map_err(|source: io::Error| ConfigError::Unreadable { path: ".".into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_file_is_valid_for_every_role() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.example.toml");
        for role in Role::ALL {
            assert_eq!(read(&path, role).unwrap().warnings, Vec::<String>::new(), "{role:?}");
        }
    }
}
