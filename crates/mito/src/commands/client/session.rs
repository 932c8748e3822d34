//! Who talks to the coordinator, found out when it first matters.

use crate::config::Environment;
use crate::config::client::ClientConfig;
use crate::login::identity::Identity;
use crate::login::reconnect::Reconnect;
use crate::process::failure::Failure;
use crate::show::{Output, OutputArgs};

/// The settings of a client, and who is logged in so far.
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

    /// How a command writes that has these options of its own.
    pub(super) fn output(&self, args: &OutputArgs) -> Output {
        Output::new(&args.or(&self.output), self.environment)
    }

    /// Logs in unless that was done before.
    pub(super) async fn identity(&mut self) -> Result<Identity, Failure> {
        if let Some(identity) = &self.identity {
            return Ok(identity.clone());
        }
        let identity = Identity::establish(&self.config).await?;
        self.identity = Some(identity.clone());
        Ok(identity)
    }

    /// As [`Self::identity`], for a command that waits: an unreachable coordinator is retried.
    pub(super) async fn identity_and_reconnect(
        &mut self,
        reconnect: &mut Reconnect,
    ) -> Result<Identity, Failure> {
        if self.identity.is_none() {
            self.identity = Some(Identity::establish_and_reconnect(&self.config, reconnect).await?);
        }
        self.identity().await
    }

    /// From now on as another user, or with another token.
    pub(super) fn become_user(&mut self, identity: Identity) {
        self.identity = Some(identity);
    }
}
