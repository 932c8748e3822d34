//! Errors of the configuration. Values are never shown: any of them may be a secret.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::instances::Instance;
use super::keys::Role;
use super::value::InvalidValue;

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A table of a file.
    File { path: PathBuf, table: String },
    /// An environment variable.
    Variable(String),
    /// The command line.
    Option,
    /// A running `mito dev` with a data folder.
    Instance(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, table } => write!(f, "[{table}] of {}", path.display()),
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::Option => f.write_str("the command line"),
            Self::Instance(data) => write!(f, "the running `mito dev` of {}", data.display()),
        }
    }
}

impl Origin {
    /// Whether both are in the same file, in the environment, or on the command line.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { path, .. }, Self::File { path: other, .. }) => path == other,
            (Self::Variable(_), Self::Variable(_)) | (Self::Option, Self::Option) => true,
            (Self::Instance(data), Self::Instance(other)) => data == other,
            _ => false,
        }
    }

    /// Whether the value does not come from a file.
    pub(crate) const fn is_outside_files(&self) -> bool {
        matches!(self, Self::Variable(_) | Self::Option)
    }

    /// The text with the line of the file.
    pub(crate) fn precise(&self, key: &str) -> String {
        match self {
            Self::File { path, table } => match line_of(path, table, key) {
                Some(line) => format!("{}, line {line}", path.display()),
                None => self.to_string(),
            },
            Self::Variable(_) | Self::Option | Self::Instance(_) => self.to_string(),
        }
    }
}

/// A key and its origin, or the option that has set it.
fn named(key: &str, origin: &Origin) -> String {
    if *origin != Origin::Option {
        return format!("`{key}` from {origin}");
    }
    match key {
        "coordinator_addr" => "--coordinator".to_owned(),
        "db_url" => "--db".to_owned(),
        "redis_url" => "--redis".to_owned(),
        "s3_url" => "--s3".to_owned(),
        key => format!("--{}", key.replace('_', "-")),
    }
}

/// The line on which a table sets a key; none if it is set in an unusual form.
fn line_of(path: &Path, table: &str, key: &str) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut here = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            here = header.split(']').next().is_some_and(|name| name.trim() == table);
        } else if here && line.split_once('=').is_some_and(|(name, _)| name.trim() == key) {
            return Some(number + 1);
        }
    }
    None
}

/// Why a configuration is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("no such configuration file: {}", .0.display())]
    Missing(PathBuf),
    #[error("cannot read the configuration file {path}", path = path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} belongs to another user (uid {owner})", path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error(
        "several `mito dev` are running: {}",
        .0.iter().map(|one| format!("{} (data {})", one.address, one.data.display())).collect::<Vec<_>>().join(", ")
    )]
    SeveralInstances(Vec<Instance>),
    #[error("no home directory: neither HOME nor {0} is set to an absolute path, and the account has none")]
    NoHome(&'static str),
    #[error("{path}, line {line}: {message}", path = path.display())]
    Malformed { path: PathBuf, line: usize, message: String },
    #[error("unknown key `{key}` in {origin}")]
    UnknownKey { key: String, origin: Origin, nearest: Option<&'static str> },
    #[error("`{key}` in {path} is outside any table", path = path.display())]
    OutsideTable { key: String, path: PathBuf, nearest: Option<&'static str> },
    #[error("unknown table [{table}] in {path}", path = path.display())]
    UnknownTable { table: String, path: PathBuf, nearest: Option<&'static str> },
    #[error("invalid value for {}", named(key, origin))]
    InvalidValue { key: &'static str, origin: Origin, source: InvalidValue },
    #[error("invalid value for {}: {why}", named(key, origin))]
    Invalid { key: &'static str, origin: Origin, why: String },
}

impl ConfigError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Missing(_) => Some(
                "check --config; a relative path is searched for in the current directory and its parents".to_owned(),
            ),
            Self::Foreign { path, .. } => Some(format!(
                "its owner controls where passwords are sent; use `chown` if you trust its content, or start in a \
                 directory without another user's {}",
                path.file_name().unwrap_or_default().display()
            )),
            Self::SeveralInstances(all) => all.first().map(|one| {
                format!("choose one, such as with `{}`; or stop the others with `mito dev stop`", one.connect_command())
            }),
            Self::NoHome(_) => Some(
                "set HOME, or XDG_CONFIG_HOME, XDG_CACHE_HOME and XDG_DATA_HOME; in a systemd unit, User= or \
                 StateDirectory= give one"
                    .to_owned(),
            ),
            Self::UnknownKey { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownKey { nearest: None, .. } => {
                Some("remove it; config.example.toml has all keys".to_owned())
            }
            Self::OutsideTable { nearest: Some(nearest), .. } => {
                let tables: Vec<String> = Role::ALL
                    .into_iter()
                    .filter(|role| role.entry(nearest).is_some())
                    .map(|role| format!("[{}]", role.table()))
                    .collect();
                Some(format!("put `{nearest}` below {}", tables.join(" or ")))
            }
            Self::OutsideTable { nearest: None, .. } => {
                Some("put it below [coordinator], [worker], [client] or [global]".to_owned())
            }
            Self::UnknownTable { nearest: Some(nearest), .. } => Some(format!("did you mean [{nearest}]?")),
            Self::UnknownTable { .. } => Some("use [coordinator], [worker], [client] or [global]".to_owned()),
            Self::Malformed { .. } => {
                Some("strings need quotes; see config.example.toml".to_owned())
            }
            Self::Unreadable { .. } | Self::InvalidValue { .. } | Self::Invalid { .. } => None,
        }
    }
}
