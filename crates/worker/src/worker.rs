//! A worker: its slots, from start to end.

use mitosis_client::ClientError;
use nix::sys::prctl::set_dumpable;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::os::guard::Guard;
use crate::os::hold::sweep;
use crate::session::Session;
use crate::settings::Settings;
use crate::slot;

/// How a worker ended without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop, here.
    Stopped,
    /// The coordinator removed it, or its lifetime is over.
    Removed,
}

/// Why a worker can't go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The coordinator does not let it in.
    #[error("the coordinator refuses this worker")]
    Refused(#[from] ClientError),
    /// The scratch directory can't be used.
    #[error("the scratch directory {path} can't be used")]
    Scratch {
        /// Which directory.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives this process no more threads.
    #[error("a thread for a slot can't be started")]
    Thread(#[source] std::io::Error),
    /// A fault of the program.
    #[error("a slot of the worker failed")]
    Fault(#[from] tokio::task::JoinError),
}

/// Runs tasks until it is told to stop.
#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Runs until `stop` is cancelled, until every slot has been removed by the coordinator, or until
    /// the coordinator refuses it. A coordinator that is away is waited for. What still runs at a stop is
    /// killed, and its task waits for another worker.
    pub async fn run(settings: Settings, stop: CancellationToken) -> Result<Ended, WorkerError> {
        hide_from_commands();
        let stop = stop.child_token();
        let base = settings.scratch.clone();
        // It may be gigabytes, so nothing waits for it.
        tokio::task::spawn_blocking(move || sweep(&base));
        let slots_of_one = settings.slots.max(1);
        let first = tokio::select! {
            session = Session::open(&settings, slots_of_one) => session?,
            () = stop.cancelled() => return Ok(Ended::Stopped),
        };
        // To an old coordinator, every slot is a worker of its own.
        let registrations = if first.is_with_ours { 1 } else { slots_of_one };
        let guard = post_guard(&settings, registrations, slots_of_one);
        let guarded = |registration| guard.as_ref().map(|guard| guard.guarded(registration));
        let mut marks = (0..slots_of_one).map(|slot| guard.as_ref().map(|guard| guard.mark(slot)));
        let mut slots = JoinSet::new();
        if first.is_with_ours {
            let marks = marks.collect();
            slots.spawn(slot::keep_busy(settings, marks, guarded(0), Some(first), stop.clone()));
        } else {
            let mut first = Some(first);
            for number in 1..=slots_of_one {
                let mark = marks.next().flatten();
                let guarded = guarded(number - 1);
                let busy = slot::keep_busy(settings.clone(), vec![mark], guarded, first.take(), stop.clone());
                slots.spawn(busy.instrument(tracing::info_span!("slot", number)));
            }
        }
        let mut ended = Ok(Ended::Removed);
        while let Some(slot) = slots.join_next().await {
            match slot.map_err(WorkerError::from).flatten() {
                Ok(Ended::Removed) => {}
                Ok(Ended::Stopped) => ended = ended.map(|_| Ended::Stopped),
                Err(error) => {
                    stop.cancel();
                    ended = ended.and(Err(error));
                }
            }
        }
        ended
    }
}

/// A worker works without one too.
fn post_guard(settings: &Settings, registrations: usize, slots: usize) -> Option<Guard> {
    let command = settings.guard.as_ref()?;
    Guard::start(command, registrations, slots)
        .inspect_err(|error| tracing::warn!(%error, "if this worker is killed, its commands will run on"))
        .ok()
}

/// Commands run as the same user, and could read tokens and passwords in the memory and the environment of
/// this process.
fn hide_from_commands() {
    if let Err(error) = set_dumpable(false) {
        tracing::warn!(%error, "commands can read the memory of this worker");
    }
}
