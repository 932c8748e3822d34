//! What the coordinator at an address knows.
//!
//! A coordinator of the 0.6 series ignores fields that it does not know, so a condition that it does not know
//! would select everything. Whatever is new since then asks here first. Our own coordinators sign their answers
//! with their version, so the question costs nothing once one has answered; an answer without a version is
//! looked into once, with `GET /health`.

use std::sync::atomic::{AtomicU8, Ordering};

use mitosis_protocol::VERSION_HEADER;
use reqwest::Response;

use crate::{Client, ClientError, UserClient};

/// Which protocol a coordinator speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capabilities {
    /// That of 0.6, and nothing else.
    Legacy,
    /// The native one as well.
    Native,
}

/// What was found out so far.
#[derive(Debug, Default)]
pub(crate) struct Learned(AtomicU8);

const LEGACY: u8 = 1;
const NATIVE: u8 = 2;

impl Learned {
    /// Any answer with a version comes from one of ours.
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
    /// What the coordinator knows; asks it where no answer has told so far.
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
            // Something else answered. The request itself gets to say what.
            (None, None) => Ok(Capabilities::Native),
        }
    }

    /// Fails where the coordinator is too old for a feature, before anything is sent that it would not
    /// understand.
    pub async fn require(&self, feature: &'static str) -> Result<(), ClientError> {
        match self.capabilities().await? {
            Capabilities::Native => Ok(()),
            Capabilities::Legacy => Err(ClientError::TooOld { address: self.address().to_owned(), feature }),
        }
    }
}

impl UserClient {
    /// See [`Client::require`].
    pub async fn require(&self, feature: &'static str) -> Result<(), ClientError> {
        self.client().require(feature).await
    }
}
