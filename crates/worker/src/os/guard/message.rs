//! The messages from a worker to its guard: one line of JSON each, over a pipe. Tokens are sent only this way,
//! since other users can see the arguments of a process.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// A message from a worker to its guard.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// A registration is valid, or has a new token.
    Registered {
        registration: usize,
        coordinator: String,
        #[serde(default)]
        authorities: Option<String>,
        token: String,
    },
    /// A registration has ended and needs no sign-off.
    Left { registration: usize },
    /// The attempts have control groups below this one.
    Groups { root: String },
}

/// What the guard needs to sign off a registration.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    /// The addresses of the coordinators, separated by commas.
    pub(super) coordinator: String,
    /// Certificate authorities to trust in addition to those of the system, in PEM.
    pub(super) authorities: Option<String>,
    pub(super) token: SecretString,
}

impl Message {
    pub(super) fn registered(registration: usize, credentials: &Credentials) -> Self {
        Self::Registered {
            registration,
            coordinator: credentials.coordinator.clone(),
            authorities: credentials.authorities.clone(),
            token: credentials.token.expose_secret().to_owned(),
        }
    }

    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("plain text and numbers");
        line.push(b'\n');
        line
    }
}
