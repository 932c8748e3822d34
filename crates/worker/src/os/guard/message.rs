//! What a worker tells its guard over the pipe: a line of JSON each. Tokens go this way and no other, since
//! other users can see the arguments of a process.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// A line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// A registration is in force, or has a new token.
    Registered {
        registration: usize,
        coordinator: String,
        #[serde(default)]
        authorities: Option<String>,
        token: String,
    },
    /// A registration has ended; there is nothing to be said for it any more.
    Left { registration: usize },
}

/// How to speak for a registration.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    /// Addresses of the coordinators, with commas between them.
    pub(super) coordinator: String,
    /// Certificate authorities to trust besides those of the system, in PEM.
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
