//! What every handler and background pass works with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mitosis_background::Background;
use mitosis_domain::clock::Clock;
use mitosis_domain::entropy::Entropy;
use mitosis_domain::lease::Moment;
use mitosis_domain::limits;
use mitosis_domain::object::ObjectKey;
use mitosis_objects::ObjectStore;
use mitosis_protocol::doctor::BackgroundTask;
use mitosis_protocol::{Md5Password, Timestamp, Uuid};
use mitosis_store::{Store, StoreError};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::api::forwarded::TrustedProxies;
use crate::api::objects::uploads::Uploads;
use crate::auth::passwords::{Busy, Passwords};
use crate::auth::standing::{Memberships, Standings};
use crate::auth::throttle::{Attempt, Throttle};
use crate::auth::tokens::Tokens;
use crate::dispatch::agents::Agents;
use crate::dispatch::exchange_batcher::ExchangeBatcher;
use crate::dispatch::held_attempts::HeldAttemptsReader;
use crate::dispatch::leases::Leases;
use crate::dispatch::notifier::Notifier;
use crate::dispatch::peer_notifier::{Hint, PeerNotifier};
use crate::dispatch::renewals::Renewals;
use crate::dispatch::retry::Retry;
use crate::events::announcer::Announcer;
use crate::events::feed::Feed;
use crate::events::output_hub::OutputHub;
use crate::events::states::States;
use crate::failures::Failures;
use crate::metrics::Metrics;
use crate::reconcilers::Passes;
use crate::shares::{Questions, Requests, Streams};
use crate::tls::Tls;

/// Shared by everything in one coordinator; cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

/// The parts of an [`App`].
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: Throttle,
    pub(crate) standings: Standings,
    pub(crate) memberships: Memberships,
    /// Notified when tasks became Ready, or a worker may run others.
    pub(crate) ready: Notifier,
    /// Notified when a task changed to another state without becoming Ready.
    pub(crate) changed: Notifier,
    pub(crate) retry: Retry,
    pub(crate) renewals: Renewals,
    pub(crate) leases: Leases,
    pub(crate) agents: Agents,
    pub(crate) batcher: ExchangeBatcher,
    pub(crate) held_attempts: HeldAttemptsReader,
    pub(crate) peers: PeerNotifier,
    pub(crate) output: OutputHub,
    pub(crate) feed: Feed,
    pub(crate) states: States,
    pub(crate) announcer: Announcer,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) questions: Questions,
    pub(crate) failures: Failures,
    pub(crate) streams: Streams,
    pub(crate) requests: Requests,
    /// Objects that are written or removed at this moment.
    pub(crate) uploads: Uploads,
    /// Name of the administrator who was made at the first start.
    pub(crate) first_admin: String,
    /// When this coordinator started.
    pub(crate) started_at: Timestamp,
    /// The same by the steady clock.
    pub(crate) started_steady: Duration,
    /// How long a worker may be silent.
    pub(crate) lease: Duration,
    /// How long an ended task is kept; for ever unless set.
    pub(crate) retain_tasks: Option<Duration>,
    /// The address by which others know it.
    pub(crate) public_url: Option<Url>,
    /// Its own TLS.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Whether any proxy is trusted, so that requests through others can be told apart.
    pub(crate) knows_its_proxies: bool,
    /// Proxies whose word about the sender of a request counts.
    pub(crate) trusted_proxies: TrustedProxies,
    /// Stops the service when an administrator shows it.
    pub(crate) shutdown_secret: SecretString,
    /// Runs the background tasks.
    pub(crate) background: Background,
    /// Outcomes of background passes.
    pub(crate) passes: Passes,
    /// Set when the service begins to stop: held requests are answered at once.
    pub(crate) stopping: CancellationToken,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Writes to the audit log what was done.
    pub(crate) async fn record(
        &self,
        actor: &str,
        action: &str,
        target: impl Into<String> + Send,
        address: Option<IpAddr>,
    ) -> Result<(), StoreError> {
        let target = shortened(target.into());
        tracing::info!(actor, action, target, "audit");
        self.store.record(actor, action, &target, address, self.now()).await
    }

    /// Removes an object whose record is gone, now or later.
    pub(crate) async fn discard(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.store.discard_object(key, self.now()).await?;
        if let Err(error) = self.uploads.remove(&*self.objects, key).await {
            tracing::warn!(%key, %error, "failed to remove an object; it will be retried");
        }
        Ok(())
    }

    /// Whether an attempt that the throttle let pass has the right password.
    pub(crate) async fn proves(
        &self,
        attempt: &Attempt,
        password: &Md5Password,
        stored: Option<&str>,
    ) -> Result<bool, Busy> {
        let outcome = self.passwords.verify(password, stored).await;
        match outcome {
            Ok(true) => self.throttle.succeeded(attempt, self.now()),
            Ok(false) => {}
            Err(Busy) => self.throttle.undecided(attempt, self.now()),
        }
        outcome
    }

    /// Wakes the poll of a native agent, on whichever coordinator it is.
    pub(crate) fn wake_agent(&self, agent: Uuid) {
        self.agents.wake(agent);
        self.peers.send(Hint::WakeAgent(agent));
    }

    /// Wakes the polls of native agents.
    pub(crate) fn wake_agents(&self, agents: &[Uuid]) {
        for agent in agents {
            self.wake_agent(*agent);
        }
    }

    /// The state of every background task.
    pub(crate) fn background_tasks(&self) -> Vec<BackgroundTask> {
        self.passes.describe(self.background.statuses())
    }

    /// The present moment, by the coordinator's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The present moment without what the wall clock was set forward since the start: no token of a worker ends
    /// because somebody sets a clock.
    pub(crate) fn steady_now(&self) -> Timestamp {
        let passed = self.clock.steady().saturating_sub(self.started_steady);
        (self.started_at + passed).min(self.now())
    }

    /// The present moment, with the time that leases are measured in.
    pub(crate) fn moment(&self) -> Moment {
        self.leases.moment()
    }
}

/// What an entry of the audit log is about, as far as there is room for it: a list of members may be long.
fn shortened(mut target: String) -> String {
    target.truncate(target.floor_char_boundary(limits::MAX_AUDIT_TARGET_BYTES));
    target
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_audit_log_are_bounded() {
        assert_eq!(shortened("lab: ann".to_owned()), "lab: ann");
        let long = shortened("x".to_owned() + &"é".repeat(limits::MAX_AUDIT_TARGET_BYTES));
        assert_eq!(long.len(), limits::MAX_AUDIT_TARGET_BYTES - 1);
    }
}
