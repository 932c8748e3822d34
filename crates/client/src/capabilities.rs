//! Detects the capabilities of a coordinator.
//!
//! A coordinator of the 0.6 series ignores unknown fields, so an unknown condition would select everything.
//! Newer features are therefore checked here first. Native coordinators send their version with every reply, so
//! the check costs nothing after the first one; a reply without a version is checked once, with `GET /health`.

use std::sync::atomic::{AtomicU8, Ordering};

use mitosis_protocol::VERSION_HEADER;
use reqwest::Response;

use crate::{Client, ClientError, UserClient};

/// The protocol of a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capabilities {
    /// Only the protocol of 0.6.
    Legacy,
    /// Also the native protocol.
    Native,
}

/// The capabilities found so far.
#[derive(Debug, Default)]
pub(crate) struct Learned(AtomicU8);

const LEGACY: u8 = 1;
const NATIVE: u8 = 2;

impl Learned {
    /// Records the capabilities: any reply with a version is from a native coordinator.
    pub(crate) fn note(&self, response: &Response) {
        if self.0.load(Ordering::Relaxed) != NATIVE && response.headers().contains_key(VERSION_HEADER) {
            self.set(Capabilities::Native);
        }
    }

    fn get(&self) -> Option<Capabilities> {
        match self.0.load(Ordering::Relaxed) {
            LEGACY => Some(Capabilities::Legacy),
            NATIVE => Some(Capabilities::Native),
            _ => None,
        }
    }

    fn set(&self, capabilities: Capabilities) {
        let number = match capabilities {
            Capabilities::Legacy => LEGACY,
            Capabilities::Native => NATIVE,
        };
        self.0.store(number, Ordering::Relaxed);
    }
}

impl Client {
    /// The capabilities of the coordinator; asks it if no reply has shown them yet.
    pub async fn capabilities(&self) -> Result<Capabilities, ClientError> {
        if let Some(known) = self.learned().get() {
            return Ok(known);
        }
        let look = self.check_address().await?;
        match (self.learned().get(), look.health) {
            (Some(known), _) => Ok(known),
            (None, Some(health)) => {
                let found = match health.version {
                    Some(_) => Capabilities::Native,
                    None => Capabilities::Legacy,
                };
                self.learned().set(found);
                Ok(found)
            }
            // Another kind of server answered. The request itself reports the error.
            (None, None) => Ok(Capabilities::Native),
        }
    }

    /// Fails if the coordinator is too old for a feature, before a request is sent.
    pub async fn require(&self, feature: &'static str) -> Result<(), ClientError> {
        match self.capabilities().await? {
            Capabilities::Native => Ok(()),
            Capabilities::Legacy => Err(ClientError::TooOld { address: self.address().to_owned(), feature }),
        }
    }

    /// Fails if a native coordinator is too old for a feature, which has a name in its health reply. It would ignore the
    /// fields of the request that it does not know. Asks the coordinator each time.
    pub async fn require_named(&self, feature: &'static str, name: &str) -> Result<(), ClientError> {
        self.require(feature).await?;
        match self.check_address().await?.health {
            Some(health) if !health.features.iter().any(|known| known == name) => {
                Err(ClientError::Outdated { address: self.address().to_owned(), feature })
            }
            // Another kind of server answered. The request itself reports the error.
            Some(_) | None => Ok(()),
        }
    }
}

impl UserClient {
    /// Fails if the coordinator is too old for a feature; see [`Client::require`].
    pub async fn require(&self, feature: &'static str) -> Result<(), ClientError> {
        self.client().require(feature).await
    }
}
