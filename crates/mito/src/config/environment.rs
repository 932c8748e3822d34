//! The environment of the process, taken once.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The variables that the process was started with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Takes the variables of this process.
    pub(crate) fn take() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// Everything, for a process that shall have the same.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// A variable that is set, not empty, and text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(OsString::from(name).as_os_str())?.to_str().filter(|value| !value.is_empty())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(OsString::from(name).as_os_str()).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Where configuration belongs: `…/mitosis`.
    pub(crate) fn config_folder(&self) -> PathBuf {
        self.folder("XDG_CONFIG_HOME", ".config")
    }

    /// Where logs and scratch space belong: `…/mitosis`.
    pub(crate) fn cache_folder(&self) -> PathBuf {
        self.folder("XDG_CACHE_HOME", ".cache")
    }

    /// Where state belongs: `…/mitosis`.
    pub(crate) fn data_folder(&self) -> PathBuf {
        self.folder("XDG_DATA_HOME", ".local/share")
    }

    fn folder(&self, variable: &str, under_home: &str) -> PathBuf {
        self.path(variable)
            .filter(|path| path.is_absolute())
            .or_else(|| self.path("HOME").map(|home| home.join(under_home)))
            .unwrap_or_else(std::env::temp_dir)
            .join("mitosis")
    }
}

#[cfg(test)]
impl Environment {
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.into(), value.into());
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
