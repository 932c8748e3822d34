//! From layers to a client's settings (command line §3.3).

use std::path::PathBuf;

use secrecy::SecretString;

use super::error::Origin;
use super::{Environment, Layers};

/// Where a coordinator is unless something else is said.
const ADDRESS: &str = "http://127.0.0.1:5000";

/// Whom to talk to, and as whom. Workers need the same.
#[derive(Debug, Clone)]
pub(crate) struct ClientConfig {
    pub(crate) address: String,
    /// Nobody said where it is.
    pub(crate) is_guessed: bool,
    /// It was given as an option, which the next command needs again.
    pub(crate) is_an_option: bool,
    pub(crate) credentials: PathBuf,
    /// A token that counts before every kept one and every login.
    pub(crate) token: Option<GivenToken>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<SecretString>,
    /// Leave the account's other tokens valid at a login.
    pub(crate) retain: bool,
}

/// Where somebody put a token.
#[derive(Debug, Clone)]
pub(crate) enum GivenToken {
    Itself(SecretString),
    /// In a file, and nothing else besides.
    In(PathBuf),
}

impl ClientConfig {
    pub(crate) fn new(layers: &Layers, environment: &Environment) -> Self {
        Self {
            address: layers.text("coordinator_addr").unwrap_or(ADDRESS).to_owned(),
            is_guessed: layers.text("coordinator_addr").is_none(),
            is_an_option: matches!(layers.told("coordinator_addr"), Some((_, Origin::Option))),
            token: layers
                .secret("token")
                .map(GivenToken::Itself)
                .or_else(|| layers.path("token_path").map(|path| GivenToken::In(path.to_owned()))),
            credentials: layers
                .path("credential_path")
                .map_or_else(|| environment.config_folder().join("credentials"), PathBuf::from),
            user: layers.text("user").map(str::to_owned),
            password: layers.secret("password"),
            retain: layers.flag("retain"),
        }
    }

    /// How a hint begins that says what to do next, with the address if it has to be given again.
    pub(crate) fn client_command(&self) -> String {
        match self.is_an_option {
            true => format!("mito client -c {}", self.address),
            false => "mito client".to_owned(),
        }
    }

    /// The same for a worker, whose login leaves the sessions of its user alone unless it is told to end them:
    /// whoever waits for a task must not be logged out by the worker that is to run it.
    pub(crate) fn of_worker(layers: &Layers, environment: &Environment) -> Self {
        Self { retain: layers.flag_unless_off("retain"), ..Self::new(layers, environment) }
    }
}
