//! A worker with all its slots, from start to end.

use nix::sys::prctl::set_dumpable;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::exit::{WorkerError, WorkerExit};
use crate::os::directory_lock::remove_abandoned;
use crate::os::guard::Guard;
use crate::registration;
use crate::run::Protocol;
use crate::session::Session;
use crate::settings::Settings;

/// Runs tasks until it is stopped.
#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Runs until `stop` is cancelled, until the coordinator has removed every slot, or until it refuses the
    /// worker. Waits for a coordinator that is unavailable. On a stop, running tasks are killed and can run on
    /// another worker.
    pub async fn run(settings: Settings, stop: CancellationToken) -> Result<WorkerExit, WorkerError> {
        hide_from_commands();
        let stop = stop.child_token();
        let base = settings.scratch.clone();
        // There can be gigabytes to remove, so the start doesn't wait for it.
        tokio::task::spawn_blocking(move || remove_abandoned(&base));
        let slots_of_one = settings.slots.max(1);
        let first = tokio::select! {
            session = Session::open(&settings, slots_of_one) => session?,
            () = stop.cancelled() => return Ok(WorkerExit::Stopped),
        };
        // With a legacy coordinator, every slot is a separate worker.
        let registrations = match first.context.protocol {
            Protocol::Native => 1,
            Protocol::Legacy => slots_of_one,
        };
        let guard = start_guard(&settings, registrations, slots_of_one);
        let guard_handle = |registration| guard.as_ref().map(|guard| guard.handle(registration));
        let mut entries = (0..slots_of_one).map(|slot| guard.as_ref().map(|guard| guard.slot_entry(slot)));
        let mut slots = JoinSet::new();
        if first.context.protocol == Protocol::Native {
            let entries = entries.collect();
            slots.spawn(registration::serve_registration(
                settings,
                entries,
                guard_handle(0),
                Some(first),
                stop.clone(),
            ));
        } else {
            let mut first = Some(first);
            for number in 1..=slots_of_one {
                let entry = entries.next().flatten();
                let guard_handle = guard_handle(number - 1);
                let serving = registration::serve_registration(
                    settings.clone(),
                    vec![entry],
                    guard_handle,
                    first.take(),
                    stop.clone(),
                );
                slots.spawn(serving.instrument(tracing::info_span!("slot", number)));
            }
        }
        let mut ended = Ok(WorkerExit::Removed);
        while let Some(slot) = slots.join_next().await {
            match slot.map_err(WorkerError::from).flatten() {
                Ok(WorkerExit::Removed) => {}
                Ok(WorkerExit::Stopped) => ended = ended.map(|_| WorkerExit::Stopped),
                Err(error) => {
                    stop.cancel();
                    ended = ended.and(Err(error));
                }
            }
        }
        ended
    }
}

/// Starts the guard, if one is configured. A worker also runs without a guard.
fn start_guard(settings: &Settings, registrations: usize, slots: usize) -> Option<Guard> {
    let command = settings.guard.as_ref()?;
    Guard::start(command, registrations, slots)
        .inspect_err(|error| tracing::warn!(%error, "failed to start the guard; if this worker is killed, its commands run on"))
        .ok()
}

/// Protects this process from the commands, which run as the same user and could read tokens and passwords in
/// its memory and environment.
fn hide_from_commands() {
    if let Err(error) = set_dumpable(false) {
        tracing::warn!(%error, "failed to protect the memory of this worker from its commands");
    }
}
