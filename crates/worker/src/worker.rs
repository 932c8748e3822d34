//! A worker with all its slots, from start to end.

use std::path::Path;

use mitosis_protocol::worker::WorkerFacts;
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::statvfs::statvfs;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::exit::{WorkerError, WorkerExit};
use crate::os::children;
use crate::os::confinement::Confinement;
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
    pub async fn run(mut settings: Settings, stop: CancellationToken) -> Result<WorkerExit, WorkerError> {
        hide_from_commands();
        if let Err(error) = children::adopt_orphans() {
            tracing::warn!(%error, "this worker can't adopt processes that leave their process group");
        }
        limit_core_dumps();
        let confinement =
            Confinement::prepare(settings.isolation).map_err(|error| WorkerError::Isolation(error.into()))?;
        confinement.announce();
        let stop = stop.child_token();
        let base = settings.scratch.clone();
        // There can be gigabytes to remove, so the start doesn't wait for it.
        tokio::task::spawn_blocking(move || remove_abandoned(&base));
        settings.registration.facts = Some(WorkerFacts {
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            isolation: Some(confinement.level().to_owned()),
            free_space: free_space(&settings.scratch),
        });
        let inventory = settings.inventory();
        let slots_of_one = inventory.default_tasks();
        let first = tokio::select! {
            session = Session::open(&settings) => session?,
            () = stop.cancelled() => return Ok(WorkerExit::Stopped),
        };
        // With a legacy coordinator, every slot is a separate worker.
        let registrations = match first.context.protocol {
            Protocol::Native => 1,
            Protocol::Legacy => slots_of_one,
        };
        let slots = match first.context.protocol {
            Protocol::Native => inventory.tasks as usize,
            Protocol::Legacy => slots_of_one,
        };
        let guard = start_guard(&settings, registrations, slots);
        if let (Some(guard), Some(groups)) = (&guard, &confinement.groups) {
            guard.watch_groups(groups.root());
        }
        let guard_handle = |registration| guard.as_ref().map(|guard| guard.handle(registration));
        let mut entries = (0..slots).map(|slot| guard.as_ref().map(|guard| guard.slot_entry(slot)));
        let mut serving = JoinSet::new();
        if first.context.protocol == Protocol::Native {
            let entries = entries.collect();
            serving.spawn(registration::serve_registration(
                settings,
                entries,
                guard_handle(0),
                Some(first),
                confinement,
                stop.clone(),
            ));
        } else {
            let mut first = Some(first);
            for number in 1..=slots_of_one {
                let entry = entries.next().flatten();
                let guard_handle = guard_handle(number - 1);
                let slot = registration::serve_registration(
                    settings.clone(),
                    vec![entry],
                    guard_handle,
                    first.take(),
                    confinement.clone(),
                    stop.clone(),
                );
                serving.spawn(slot.instrument(tracing::info_span!("slot", number)));
            }
        }
        let mut ended = Ok(WorkerExit::Removed);
        while let Some(slot) = serving.join_next().await {
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

/// Free space for the files of tasks, in bytes. The directory may not exist yet.
fn free_space(scratch: &Path) -> Option<u64> {
    let found = scratch.ancestors().find_map(|folder| statvfs(folder).ok())?;
    Some(found.blocks_available() * found.fragment_size())
}

/// Keeps commands from filling the disk with core dumps, unless they ask for them.
fn limit_core_dumps() {
    let limited =
        getrlimit(Resource::RLIMIT_CORE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_CORE, 0, hard));
    if let Err(error) = limited {
        tracing::debug!(%error, "failed to limit core dumps");
    }
}

/// Protects this process from the commands, which run as the same user and could read tokens and passwords in
/// its memory and environment.
fn hide_from_commands() {
    if let Err(error) = set_dumpable(false) {
        tracing::warn!(%error, "failed to protect the memory of this worker from its commands");
    }
}
