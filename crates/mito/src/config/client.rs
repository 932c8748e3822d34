//! From layers to a client's settings (command line §3.3).

use std::path::PathBuf;

use secrecy::SecretString;

use super::{Environment, Layers};

/// Where a coordinator is unless something else is said.
const ADDRESS: &str = "http://127.0.0.1:5000";

/// Whom to talk to, and as whom. Workers need the same.
#[derive(Debug, Clone)]
pub(crate) struct ClientConfig {
    pub(crate) address: String,
    /// Nobody said where it is.
    pub(crate) is_guessed: bool,
    pub(crate) credentials: PathBuf,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<SecretString>,
    /// Leave the account's other tokens valid at a login.
    pub(crate) retain: bool,
}

impl ClientConfig {
    pub(crate) fn new(layers: &Layers, environment: &Environment) -> Self {
        Self {
            address: layers.text("coordinator_addr").unwrap_or(ADDRESS).to_owned(),
            is_guessed: layers.text("coordinator_addr").is_none(),
            credentials: layers
                .path("credential_path")
                .map_or_else(|| environment.config_folder().join("credentials"), PathBuf::from),
            user: layers.text("user").map(str::to_owned),
            password: layers.secret("password"),
            retain: layers.flag("retain"),
        }
    }
}
