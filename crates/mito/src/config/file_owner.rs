//! Checks the owner of files. A file of another user is not trusted: it could redirect passwords or sign tokens.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::error::ConfigError;

/// The owner of a file, if it is neither this user nor root.
fn stranger(file: &Metadata) -> Option<u32> {
    let owner = file.uid();
    (owner != 0 && owner != nix::unistd::geteuid().as_raw()).then_some(owner)
}

/// Reads a configuration file.
pub(super) fn read_config(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    if let Some(owner) = stranger(&file.metadata().map_err(unreadable)?) {
        return Err(ConfigError::Foreign { path: path.to_owned(), owner });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// Reads a file of tokens.
pub(crate) fn read_secret(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    if let Some(owner) = stranger(&file.metadata()?) {
        let why = format!("it belongs to another user (uid {owner})");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Refuses a key or a directory of another user. A missing one is reported by its reader.
pub(crate) fn check_owner(path: &Path) -> Result<(), ConfigError> {
    match path.metadata().ok().as_ref().and_then(stranger) {
        Some(owner) => Err(ConfigError::Foreign { path: path.to_owned(), owner }),
        None => Ok(()),
    }
}
