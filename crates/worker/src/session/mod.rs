//! One registration: from `POST /workers` to the sign-off.

mod fetch;
mod heartbeat;
pub(crate) mod lease;
mod open;
mod room;
mod token;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mitosis_client::{ClientError, WorkerClient};
use mitosis_protocol::ErrorCode;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::insist::insist;
use crate::live::Herald;
use crate::live::redis::Announcer;
use crate::os::guard::Guarded;
use crate::os::hold::Hold;
use crate::os::thread::Thread;
use crate::run::Place;
use crate::run::scratch::{self, Scratch};
use crate::settings::Settings;
use lease::Lease;

/// A registration.
pub(crate) struct Session {
    pub(crate) client: WorkerClient,
    pub(crate) lease: Lease,
    pub(crate) settings: Settings,
    /// Whether the coordinator is one of ours, and so speaks the native protocol.
    pub(crate) is_with_ours: bool,
    /// Where states are announced beside an old coordinator. One of ours does it.
    pub(crate) redis: Option<Arc<Announcer>>,
    /// Under which each slot has its directories.
    root: PathBuf,
    /// Whether tasks find room in the scratch directory.
    pub(crate) has_room: watch::Sender<bool>,
    /// How long the token that came with the registration is good for, if that can be told.
    token_life: Option<Duration>,
    /// What the guard is told.
    guarded: Option<Guarded>,
    /// Whoever finds the root without this being held may remove it.
    _hold: Hold,
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
    /// From now on, a guard acts for this registration when the worker can't.
    pub(crate) fn guarded_by(self, guarded: Option<Guarded>) -> Self {
        if let Some(guarded) = &guarded {
            self.lease.show_at(guarded.term());
            guarded.is_registered(&self.client);
        }
        Self { guarded, ..self }
    }

    /// Takes tasks, one on each thread, and gives signs of life until there is a reason to end. Whatever
    /// runs then is killed.
    pub(crate) async fn serve(self: &Arc<Self>, threads: &[Thread], stop: &CancellationToken) -> Farewell {
        let places = threads.iter().cloned().enumerate();
        let mut places = places.map(|(slot, thread)| Place {
            scratch: self.scratch(slot),
            thread,
            herald: self.redis.clone().map_or(Herald::Silent, Herald::Redis),
        });
        if self.is_with_ours {
            return self.serve_as_agent(places.collect(), stop).await;
        }
        let place = places.next().expect("a registration has a slot");
        tokio::select! {
            farewell = self.take_tasks(&place) => farewell,
            refused = self.give_signs_of_life() => self.farewell(&refused),
            refused = self.keep_token_good() => self.farewell(&refused),
            never = self.watch_scratch() => match never {},
            () = stop.cancelled() => Farewell::Stopped,
        }
    }

    /// The directories of a slot; of the whole registration where it is one (semantics §7.2).
    fn scratch(&self, slot: usize) -> Scratch {
        match self.is_with_ours {
            true => Scratch::at(self.root.join(slot.to_string())),
            false => Scratch::at(self.root.clone()),
        }
    }

    /// Says good-bye, so that a task that was held need not wait for the lease to end, and cleans up. Where
    /// nobody can be reached, that is left to the guard.
    pub(crate) async fn close(&self, farewell: Farewell) {
        let said = match farewell {
            Farewell::Removed => Ok(()),
            Farewell::Stopped | Farewell::GivenUp => self.client.sign_off().await,
        };
        match (said, &self.guarded) {
            (Err(error), _) if error.is_transient() => tracing::warn!(
                %error,
                "signing off did not work; what was given back may have to wait for the end of the lease"
            ),
            (_, Some(guarded)) => guarded.has_left(),
            (_, None) => {}
        }
        if let Some(redis) = &self.redis {
            redis.flush().await;
        }
        scratch::remove(&self.root).await;
    }

    /// What a 401 means. Only a worker that a user removed, or whose lifetime has ended, leaves for good. An older
    /// coordinator gives no reason: there, a worker that is unknown while its lease holds has been removed.
    pub(crate) fn farewell(&self, refused: &ClientError) -> Farewell {
        tracing::debug!(%refused, "the coordinator does not know this worker");
        match refused.code() {
            Some(ErrorCode::WorkerRemoved | ErrorCode::WorkerExpired) => Farewell::Removed,
            _ if self.lease.gives_reasons() || !self.lease.holds() => Farewell::GivenUp,
            _ => Farewell::Removed,
        }
    }

    /// The same, when a task was told that the coordinator does not know this worker.
    pub(crate) async fn farewell_after_refusal(&self) -> Farewell {
        let ask = || self.client.heartbeat();
        match insist(&*self.settings.entropy, "asking why this worker is refused", ask).await {
            Err(refused) if refused.status() == Some(401) => self.farewell(&refused),
            Ok(_) | Err(_) => Farewell::GivenUp,
        }
    }
}

/// Time between two signs of life: a third of the time after which the worker is missed, or what was configured if
/// that is less.
fn heartbeat_pause(configured: Duration, missed_after: Duration) -> Duration {
    configured.min(missed_after / 3)
}
