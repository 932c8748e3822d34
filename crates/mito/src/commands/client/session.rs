//! The identity of a client command, established when it is first needed.

use crate::config::Environment;
use crate::config::client::ClientConfig;
use crate::login::identity::Identity;
use crate::login::reconnect::Reconnect;
use crate::process::failure::Failure;
use crate::show::{Output, OutputArgs};

/// The settings of a client, and the identity once it is established.
pub(super) struct Session<'a> {
    pub(super) environment: &'a Environment,
    pub(super) config: ClientConfig,
    output: OutputArgs,
    identity: Option<Identity>,
}

impl<'a> Session<'a> {
    pub(super) fn new(environment: &'a Environment, config: ClientConfig, output: OutputArgs) -> Self {
        Self { environment, config, output, identity: None }
    }

    /// The output for a command with its own output options.
    pub(super) fn output(&self, args: &OutputArgs) -> Output {
        Output::new(&args.or(&self.output), self.environment)
    }

    /// The identity; logs in at the first call.
    pub(super) async fn identity(&mut self) -> Result<Identity, Failure> {
        if let Some(identity) = &self.identity {
            return Ok(identity.clone());
        }
        let identity = Identity::establish(&self.config).await?;
        self.identity = Some(identity.clone());
        Ok(identity)
    }

    /// Like [`Self::identity`], but retries an unreachable coordinator, for a command that waits.
    pub(super) async fn identity_and_reconnect(
        &mut self,
        reconnect: &mut Reconnect,
    ) -> Result<Identity, Failure> {
        if self.identity.is_none() {
            self.identity = Some(Identity::establish_and_reconnect(&self.config, reconnect).await?);
        }
        self.identity().await
    }

    /// Drops the identity.
    pub(super) fn forget_user(&mut self) {
        self.identity = None;
    }

    /// Replaces the identity.
    pub(super) fn become_user(&mut self, identity: Identity) {
        self.identity = Some(identity);
    }
}
