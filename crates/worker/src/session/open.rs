//! Becoming a worker.

use std::sync::Arc;
use std::time::Duration;

use mitosis_protocol::worker::RegisterWorkerRequest;

use tokio::sync::watch;

use super::Session;
use super::lease::Lease;
use crate::insist::insist;
use crate::live::redis::Announcer;
use crate::os::boot_clock::BootInstant;
use crate::run::scratch;
use crate::settings::Settings;
use crate::worker::WorkerError;

/// How long a worker may be silent when the coordinator does not say: the default of the contract.
pub(super) const LEASE_OF_OLD_COORDINATORS: Duration = Duration::from_secs(600);

impl Session {
    /// Logs in and registers, waiting for a coordinator that is away.
    pub(crate) async fn open(settings: &Settings, slots: usize) -> Result<Self, WorkerError> {
        let entropy = &*settings.entropy;
        let user = insist(entropy, "logging in", || settings.login.log_in()).await?;
        let asked = BootInstant::now();
        let request = RegisterWorkerRequest {
            slots: Some(u32::try_from(slots).unwrap_or(u32::MAX)),
            ..settings.registration.clone()
        };
        let registration = insist(entropy, "registering", || user.register_worker(&request)).await?;
        let is_with_ours = registration.terms.is_some();
        let redis = registration.redis_url.filter(|_| !is_with_ours && !settings.skip_redis);
        let lease = registration.terms.map_or(LEASE_OF_OLD_COORDINATORS, |terms| terms.lease);
        let (root, hold) = scratch::make_root(&settings.scratch, registration.uuid).await?;
        tracing::info!(worker = %registration.uuid, "registered");
        Ok(Self {
            lease: Lease::new(asked, lease),
            client: registration.client,
            token_life: registration.token_life,
            gives_reasons: registration.terms.is_some_and(|terms| terms.gives_reasons),
            is_with_ours,
            redis: redis.and_then(|url| Announcer::start(&url)).map(Arc::new),
            root,
            _hold: hold,
            settings: settings.clone(),
            has_room: watch::Sender::new(true),
            guarded: None,
        })
    }
}
