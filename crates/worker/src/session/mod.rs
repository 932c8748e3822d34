//! One registration, from `POST /workers` to the sign-off.

mod disk_space;
mod fetch;
mod heartbeat;
mod open;
mod token;

use std::path::PathBuf;
use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_protocol::ErrorCode;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::exec_state::StateReporter;
use crate::os::directory_lock::DirectoryLock;
use crate::os::guard::GuardHandle;
use crate::os::thread::Thread;
use crate::retry::retry;
use crate::run::scratch::{self, Scratch};
use crate::run::{Protocol, RunContext, SlotContext};

/// A registration with a coordinator.
pub(crate) struct Session {
    pub(crate) context: RunContext,
    /// The directory below which each slot has its directories.
    root: PathBuf,
    /// Whether the scratch directory has space for tasks.
    pub(crate) has_space: watch::Sender<bool>,
    /// The lifetime of the token that came with the registration, if it is known.
    token_life: Option<Duration>,
    /// Informs the guard about this registration.
    guard: Option<GuardHandle>,
    /// While it is held, no other process removes the root.
    _hold: DirectoryLock,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionEnd {
    /// The worker was asked to stop.
    Stopped,
    /// The coordinator removed the worker.
    Removed,
    /// The coordinator ended the lease, or an attempt was abandoned. The worker may register again.
    Reregister,
}

impl Session {
    /// Lets a guard act for this registration when the worker can't.
    pub(crate) fn with_guard(self, guard: Option<GuardHandle>) -> Self {
        if let Some(guard) = &guard {
            self.context.lease.publish_to(guard.lease_entry());
            guard.register(&self.context.client);
        }
        Self { guard, ..self }
    }

    /// Creates a slot for each thread.
    pub(crate) fn slots(&self, threads: &[Thread]) -> Vec<SlotContext> {
        let threads = threads.iter().cloned().enumerate();
        let slots = threads.map(|(slot, thread)| SlotContext {
            scratch: self.scratch(slot),
            thread,
            reporter: self.context.redis.clone().map_or(StateReporter::Silent, StateReporter::Redis),
        });
        slots.collect()
    }

    /// Runs tasks of a legacy coordinator in one slot, and sends heartbeats until the session ends. A running
    /// task is then killed.
    pub(crate) async fn serve(&self, slot: &SlotContext, stop: &CancellationToken) -> SessionEnd {
        tokio::select! {
            session_end = self.fetch_and_run(slot) => session_end,
            refused = self.send_heartbeats() => self.session_end(&refused),
            refused = self.keep_token_valid() => self.session_end(&refused),
            never = self.watch_disk_space() => match never {},
            () = stop.cancelled() => SessionEnd::Stopped,
        }
    }

    /// The directories of a slot, or of the whole registration if it has one slot (semantics §7.2).
    fn scratch(&self, slot: usize) -> Scratch {
        match self.context.protocol {
            Protocol::Native => Scratch::at(self.root.join(slot.to_string())),
            Protocol::Legacy => Scratch::at(self.root.clone()),
        }
    }

    /// Signs off, so that a held task need not wait for the lease to expire, and cleans up. If no coordinator
    /// can be reached, the guard signs off later.
    pub(crate) async fn close(&self, session_end: SessionEnd) {
        let signed_off = match session_end {
            SessionEnd::Removed => Ok(()),
            SessionEnd::Stopped | SessionEnd::Reregister => self.context.client.sign_off().await,
        };
        match (signed_off, &self.guard) {
            (Err(error), _) if error.is_transient() => tracing::warn!(
                %error,
                "failed to sign off; returned tasks may have to wait until the lease expires"
            ),
            (_, Some(guard)) => guard.deregister(),
            (_, None) => {}
        }
        if let Some(redis) = &self.context.redis {
            redis.flush().await;
        }
        scratch::remove(&self.root).await;
    }

    /// Interprets a 401. Only a worker that a user removed, or whose lifetime has ended, exits. A
    /// legacy coordinator gives no reason: there, a worker that is unknown while its lease is valid has been
    /// removed.
    pub(crate) fn session_end(&self, refused: &ClientError) -> SessionEnd {
        tracing::debug!(%refused, "the coordinator does not know this worker");
        match refused.code() {
            Some(ErrorCode::WorkerRemoved | ErrorCode::WorkerExpired) => SessionEnd::Removed,
            _ if self.context.lease.gives_reasons() || !self.context.lease.is_valid() => {
                SessionEnd::Reregister
            }
            _ => SessionEnd::Removed,
        }
    }

    /// Asks the coordinator why it refused a call for a task, and interprets the answer.
    pub(crate) async fn session_end_after_refusal(&self) -> SessionEnd {
        let ask = || self.context.client.heartbeat();
        match retry(&*self.context.settings.entropy, "heartbeat after a refusal", ask).await {
            Err(refused) if refused.status() == Some(401) => self.session_end(&refused),
            Ok(_) | Err(_) => SessionEnd::Reregister,
        }
    }
}

/// Time between two heartbeats: a third of the time after which the worker is missed, or the configured
/// interval if that is shorter.
fn heartbeat_pause(configured: Duration, missed_after: Duration) -> Duration {
    configured.min(missed_after / 3)
}
