//! The state that all handlers and background passes share.

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
use mitosis_protocol::{Md5Password, Timestamp};
use mitosis_store::ops::Changed;
use mitosis_store::{Store, StoreError};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::api::forwarded::TrustedProxies;
use crate::api::objects::uploads::ObjectLocks;
use crate::auth::login_codes::LoginCodes;
use crate::auth::passwords::{Busy, Passwords};
use crate::auth::revalidation::{MembershipCache, UserCache};
use crate::auth::throttle::{Attempt, Throttle};
use crate::auth::tokens::Tokens;
use crate::dispatch::agents::Agents;
use crate::dispatch::exchange_batcher::ExchangeBatcher;
use crate::dispatch::held_attempts::HeldAttemptsReader;
use crate::dispatch::lease_clock::ClusterClock;
use crate::dispatch::peer_notifier::PeerNotifier;
use crate::dispatch::renewals::Renewals;
use crate::dispatch::retry::Retry;
use crate::events::announcer::Announcer;
use crate::events::feed::Feed;
use crate::events::output_hub::OutputHub;
use crate::events::states::States;
use crate::failure_log::FailureLog;
use crate::jobs::Jobs;
use crate::jobs::activity::Activity;
use crate::metrics::Metrics;
use crate::metrics::scrape::QueueReader;
use crate::notify::Notify;
use crate::publish::Publisher;
use crate::publish::notifier::Notifier;
use crate::reconcilers::Passes;
use crate::secrets::cipher::SecretCipher;
use crate::settings::RetentionSettings;
use crate::tls::Tls;
use crate::user_limits::{QueryLimiter, RequestCounter, StreamLimiter};

/// The shared state of one coordinator; cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

/// The parts of an [`App`].
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tokens: Tokens,
    /// Encrypts the secrets of groups.
    pub(crate) secrets: SecretCipher,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: Throttle,
    pub(crate) login_codes: LoginCodes,
    pub(crate) user_cache: UserCache,
    pub(crate) membership_cache: Arc<MembershipCache>,
    /// Notified when tasks become Ready, or when a worker may run other tasks.
    pub(crate) ready: Notifier,
    /// Notified when a task changes to a state other than Ready.
    pub(crate) changed: Notifier,
    pub(crate) retry: Retry,
    pub(crate) renewals: Renewals,
    pub(crate) cluster_clock: ClusterClock,
    pub(crate) publisher: Publisher,
    pub(crate) agents: Arc<Agents>,
    pub(crate) batcher: ExchangeBatcher,
    pub(crate) held_attempts: HeldAttemptsReader,
    pub(crate) peers: PeerNotifier,
    pub(crate) output: Arc<OutputHub>,
    pub(crate) feed: Feed,
    pub(crate) states: States,
    pub(crate) jobs: Jobs,
    pub(crate) activity: Activity,
    pub(crate) notify: Notify,
    pub(crate) announcer: Announcer,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) queue_reader: QueueReader,
    pub(crate) query_limiter: QueryLimiter,
    pub(crate) failure_log: FailureLog,
    pub(crate) stream_limiter: StreamLimiter,
    pub(crate) request_counter: RequestCounter,
    /// Locks of objects that are being written or deleted.
    pub(crate) object_locks: ObjectLocks,
    /// The name of the administrator who was created at the first start.
    pub(crate) first_admin: String,
    /// When this coordinator started.
    pub(crate) started_at: Timestamp,
    /// When this coordinator started, by the steady clock.
    pub(crate) started_steady: Duration,
    /// The lease of legacy workers: how long a worker may be silent.
    pub(crate) lease: Duration,
    /// How long ended tasks and their archives are kept, and where.
    pub(crate) retention: RetentionSettings,
    /// The configured public address.
    pub(crate) public_url: Option<Url>,
    /// TLS of the coordinator itself.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Whether trusted proxies are configured.
    pub(crate) knows_its_proxies: bool,
    /// Proxies whose headers about the client are trusted.
    pub(crate) trusted_proxies: TrustedProxies,
    /// The secret with which an administrator can stop the service.
    pub(crate) shutdown_secret: SecretString,
    /// Runs the background tasks.
    pub(crate) background: Background,
    /// The last outcomes of background passes.
    pub(crate) passes: Passes,
    /// Cancelled when the service starts to stop: held requests then return at once.
    pub(crate) stopping: CancellationToken,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Writes an entry to the audit log.
    pub(crate) async fn record(
        &self,
        actor: &str,
        action: &str,
        target: impl Into<String> + Send,
        address: Option<IpAddr>,
    ) -> Result<(), StoreError> {
        let target = truncated(target.into());
        tracing::info!(actor, action, target, "audit");
        self.store.record(actor, action, &target, address, self.now()).await
    }

    /// Deletes an object without a record, now or later.
    pub(crate) async fn discard(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.store.discard_object(key, self.now()).await?;
        if let Err(error) = self.object_locks.remove(&*self.objects, key).await {
            tracing::warn!(%key, %error, "failed to remove an object; it will be retried");
        }
        Ok(())
    }

    /// Verifies the password of a login attempt that the throttle has admitted.
    pub(crate) async fn verify_password(
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

    /// Publishes the effects of an operation; returns its value.
    pub(crate) fn publish<T>(&self, changed: Changed<T>) -> T {
        self.publisher.publish(changed)
    }

    /// The state of every background task.
    pub(crate) fn background_tasks(&self) -> Vec<BackgroundTask> {
        self.passes.describe(self.background.statuses())
    }

    /// The current time, by the clock that all coordinators share.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The current time without forward steps of the wall clock since the start, so that a clock change does not expire
    /// tokens of workers.
    pub(crate) fn steady_now(&self) -> Timestamp {
        let passed = self.clock.steady().saturating_sub(self.started_steady);
        (self.started_at + passed).min(self.now())
    }

    /// The current time and lease time.
    pub(crate) fn moment(&self) -> Moment {
        self.cluster_clock.moment()
    }
}

/// Truncates the target of an audit entry: a list of members may be long.
fn truncated(mut target: String) -> String {
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
    fn targets_of_audit_entries_are_truncated() {
        assert_eq!(truncated("lab: ann".to_owned()), "lab: ann");
        let long = truncated("x".to_owned() + &"é".repeat(limits::MAX_AUDIT_TARGET_BYTES));
        assert_eq!(long.len(), limits::MAX_AUDIT_TARGET_BYTES - 1);
    }
}
