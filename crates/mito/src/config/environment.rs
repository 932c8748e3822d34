//! The environment variables of the process, read once.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::error::ConfigError;

/// The environment variables at the start of the process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Reads the environment. Without HOME, as in many services, the home of the account is used.
    pub(crate) fn take() -> Self {
        let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        if variables.get(OsStr::new("HOME")).is_none_or(|home| !Path::new(home).is_absolute()) {
            variables.remove(OsStr::new("HOME"));
            variables.extend(home_of_account().map(|home| ("HOME".into(), home.into_os_string())));
        }
        Self(variables)
    }

    /// Refuses an environment without directories for configuration, logs and state. A fallback that other users can
    /// write to would be unsafe.
    pub(crate) fn check_folders(&self) -> Result<(), ConfigError> {
        let is_there = |variable: &&str| self.path(variable).is_some_and(|path| path.is_absolute());
        let missing =
            ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"].iter().find(|name| !is_there(name));
        match missing {
            Some(variable) if !is_there(&"HOME") => Err(ConfigError::NoHome(variable)),
            _ => Ok(()),
        }
    }

    /// All variables, for child processes.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The value of a variable, which may be empty.
    pub(crate) fn value(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsString::from(name).as_os_str()).map(OsString::as_os_str)
    }

    /// The text of a variable that is set and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(OsString::from(name).as_os_str())?.to_str().filter(|value| !value.is_empty())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(OsString::from(name).as_os_str()).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// The directory for configuration: `…/mitosis`.
    pub(crate) fn config_folder(&self) -> PathBuf {
        self.folder("XDG_CONFIG_HOME", ".config")
    }

    /// The directory for logs and scratch space: `…/mitosis`.
    pub(crate) fn cache_folder(&self) -> PathBuf {
        self.folder("XDG_CACHE_HOME", ".cache")
    }

    /// The directory for state: `…/mitosis`.
    pub(crate) fn data_folder(&self) -> PathBuf {
        self.folder("XDG_DATA_HOME", ".local/share")
    }

    /// The directory for files that are valid while the user is logged in: `…/mitosis`.
    pub(crate) fn runtime_folder(&self) -> Option<PathBuf> {
        self.path("XDG_RUNTIME_DIR").filter(|path| path.is_absolute()).map(|path| path.join("mitosis"))
    }

    /// The directory for files that say what this machine does: `…/mitosis`.
    pub(crate) fn state_folder(&self) -> Option<PathBuf> {
        self.path("XDG_STATE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| self.path("HOME").map(|home| home.join(".local/state")))
            .map(|path| path.join("mitosis"))
    }

    fn folder(&self, variable: &str, under_home: &str) -> PathBuf {
        self.path(variable)
            .filter(|path| path.is_absolute())
            .or_else(|| self.path("HOME").map(|home| home.join(under_home)))
            // The start has checked this.
            .unwrap_or_else(|| PathBuf::from("/nonexistent"))
            .join("mitosis")
    }
}

/// The home directory of the account of this process, if it has one.
fn home_of_account() -> Option<PathBuf> {
    let account = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten()?;
    Some(account.dir).filter(|home| home.parent().is_some() && home.is_dir())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_without_any_home_is_refused() {
        let check = |variables: &[(&str, &str)]| {
            let mut environment = Environment::default();
            for (name, value) in variables {
                environment.set(name, value);
            }
            environment.check_folders().map_err(|error| error.to_string())
        };
        let all = [("XDG_CONFIG_HOME", "/a"), ("XDG_CACHE_HOME", "/b"), ("XDG_DATA_HOME", "/c")];
        assert_eq!(check(&all), Ok(()));
        assert_eq!(check(&[("HOME", "/home/ann")]), Ok(()));
        for wrong in [&all[..2], &[("HOME", "relative")], &[]] {
            assert!(check(wrong).unwrap_err().contains("HOME"), "{wrong:?}");
        }
    }
}
