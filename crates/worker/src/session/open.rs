//! Registers a worker.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use mitosis_client::LeaseTerms;
use mitosis_protocol::worker::RegisterWorkerRequest;
use tokio::sync::watch;

use super::Session;
use crate::exec_state::redis::Announcer;
use crate::exit::WorkerError;
use crate::lease::Lease;
use crate::os::boot_clock::BootInstant;
use crate::os::machine;
use crate::retry::retry;
use crate::run::inputs::Inputs;
use crate::run::{Protocol, RunContext, scratch};
use crate::settings::Settings;

/// The lease terms if the coordinator sends none: the default of the contract.
pub(super) const TERMS_OF_LEGACY_COORDINATORS: LeaseTerms = LeaseTerms {
    lease: Duration::from_secs(600),
    missed_after: Duration::from_secs(600),
    gives_reasons: false,
};

impl Session {
    /// Logs in and registers, and waits for a coordinator that is unavailable.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, WorkerError> {
        let entropy = &*settings.entropy;
        let inventory = settings.inventory();
        let user = retry(entropy, "logging in", || settings.login.log_in()).await?;
        let request = RegisterWorkerRequest {
            slots: Some(u32::try_from(inventory.default_tasks()).unwrap_or(u32::MAX)),
            offer: Some(inventory.offer()),
            ends_in: settings.ends_at.map(|end| end.saturating_duration_since(std::time::Instant::now())),
            host: machine::host(),
            machine: machine::this(),
            ..settings.registration.clone()
        };
        let register = || async {
            let asked = BootInstant::now();
            Ok((asked, user.register_worker(&request).await?))
        };
        let (asked, registration) = retry(entropy, "registering", register).await?;
        let protocol = match registration.terms {
            Some(_) => Protocol::Native,
            None => Protocol::Legacy,
        };
        let redis = registration.redis_url.filter(|_| protocol == Protocol::Legacy && !settings.skip_redis);
        let (root, hold) = scratch::make_root(&settings.scratch, registration.uuid).await?;
        (settings.registered)(registration.uuid);
        tracing::info!(worker = %registration.uuid, "registered");
        Ok(Self {
            context: RunContext {
                inline_limit: AtomicUsize::new(0),
                inputs: Inputs::new(root.join("inputs"), settings.input_cache),
                client: registration.client,
                lease: Lease::new(asked, registration.terms.unwrap_or(TERMS_OF_LEGACY_COORDINATORS)),
                settings: settings.clone(),
                protocol,
                redis: redis.and_then(|url| Announcer::start(&url)).map(Arc::new),
            },
            token_life: registration.token_life,
            root,
            _hold: hold,
            has_space: watch::Sender::new(true),
            guard: None,
        })
    }
}
