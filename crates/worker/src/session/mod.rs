//! One registration: from `POST /workers` to the sign-off.

mod fetch;
mod heartbeat;
pub(crate) mod lease;
mod open;

use std::time::Duration;

use mitosis_client::WorkerClient;
use tokio_util::sync::CancellationToken;

use crate::run::scratch::Scratch;
use crate::settings::Settings;
use lease::Lease;

/// A registered slot.
pub(crate) struct Session {
    pub(crate) client: WorkerClient,
    pub(crate) lease: Lease,
    pub(crate) scratch: Scratch,
    pub(crate) settings: Settings,
    /// Whether the coordinator is one of ours: it holds a question for a task until there is one, and
    /// takes an end together with it.
    pub(crate) is_with_ours: bool,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// The worker was asked to stop.
    Stopped,
    /// The coordinator removed it.
    Removed,
    /// The coordinator took it for dead, or an attempt had to be given up; another registration is fine.
    GivenUp,
}

impl Session {
    /// Takes tasks and gives signs of life until there is a reason to end. Whatever runs then is killed.
    pub(crate) async fn serve(&self, stop: &CancellationToken) -> Farewell {
        tokio::select! {
            farewell = self.take_tasks() => farewell,
            () = self.give_signs_of_life() => self.unknown_to_the_coordinator(),
            () = stop.cancelled() => Farewell::Stopped,
        }
    }

    /// Says good-bye, so that a task that was held need not wait for the lease to end, and cleans up.
    pub(crate) async fn close(&self, farewell: Farewell) {
        if farewell != Farewell::Removed
            && let Err(error) = self.client.sign_off().await
        {
            tracing::debug!(%error, "signing off did not work; the lease will end by itself");
        }
        self.scratch.remove().await;
    }

    /// What a 401 means. With a lease that holds, somebody removed this worker, or its token has come to
    /// its end. With one that is over, the coordinator gave it up and would take it again.
    fn unknown_to_the_coordinator(&self) -> Farewell {
        match self.lease.holds() {
            true => Farewell::Removed,
            false => Farewell::GivenUp,
        }
    }
}

/// Time between two signs of life: a third of the lease, or what was configured if that is less.
fn heartbeat_pause(configured: Duration, lease: Duration) -> Duration {
    configured.min(lease / 3)
}
