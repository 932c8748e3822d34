//! The guard: a second, small process that acts when the worker can't.
//!
//! It ends the commands of a worker that has died and returns their tasks. It also kills commands whose lease
//! has expired while the worker is stopped or the machine was suspended. It reads a pipe whose other end only
//! the worker holds, so it notices every kind of exit. The worker writes the running groups and their leases
//! into a [table] that both processes share. The worker restarts a guard that ends.

mod message;
mod process;
mod table;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mitosis_client::WorkerClient;

use super::children;
use message::{Credentials, Message};
pub use process::run_guard;
use table::Table;
pub(crate) use table::{LeaseEntry, SlotEntry};

/// Pause before the guard is restarted; it doubles up to the maximum.
const MIN_RESTART_PAUSE: Duration = Duration::from_millis(10);
const MAX_RESTART_PAUSE: Duration = Duration::from_secs(10);
/// Variables that a guard needs to reach the coordinator as its worker does.
const INHERITED: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// A running guard process. Dropping it ends the guard.
#[derive(Debug)]
pub(crate) struct Guard(Arc<GuardSupervisor>);

/// Keeps one guard process running.
#[derive(Debug)]
struct GuardSupervisor {
    command: Vec<OsString>,
    table: Table,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The pipe to the present guard process.
    pipe: Option<ChildStdin>,
    registrations: BTreeMap<usize, Credentials>,
    /// The control group that has those of the attempts.
    groups: Option<String>,
    /// Whether the worker is ending, and its guard with it.
    is_stopping: bool,
}

/// Informs the guard about one registration.
#[derive(Debug, Clone)]
pub(crate) struct GuardHandle {
    supervisor: Arc<GuardSupervisor>,
    registration: usize,
}

impl Guard {
    /// Starts a process that calls [`run_guard`] for these numbers of registrations and slots, and restarts it
    /// until this is dropped.
    pub(crate) fn start(command: &[OsString], registrations: usize, slots: usize) -> io::Result<Self> {
        let table = Table::new(registrations, slots)?;
        let supervisor =
            Arc::new(GuardSupervisor { command: command.to_vec(), table, state: Mutex::default() });
        let first = supervisor.spawn_guard()?;
        let watched = supervisor.clone();
        std::thread::Builder::new().name("mito-guard".to_owned()).spawn(move || watched.supervise(first))?;
        Ok(Self(supervisor))
    }

    /// Lets the guard kill the control groups of attempts below this one, if the worker dies.
    pub(crate) fn watch_groups(&self, root: &Path) {
        let mut state = self.0.state();
        state.groups = root.to_str().map(str::to_owned);
        let message = state.groups.clone().map(|root| Message::Groups { root });
        if let Some(message) = &message {
            state.send(message);
        }
    }

    /// The table entry of a slot, counted from 0.
    pub(crate) fn slot_entry(&self, slot: usize) -> SlotEntry {
        self.0.table.slot(slot)
    }

    /// The handle of a registration, counted from 0.
    pub(crate) fn handle(&self, registration: usize) -> GuardHandle {
        GuardHandle { supervisor: self.0.clone(), registration }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_stopping = true;
        state.pipe = None;
    }
}

impl GuardHandle {
    /// The table entry of the registration's lease.
    pub(crate) fn lease_entry(&self) -> LeaseEntry {
        self.supervisor.table.lease_entry(self.registration)
    }

    /// Lets the guard sign off for the worker with the token of `client`.
    pub(crate) fn register(&self, client: &WorkerClient) {
        let credentials = Credentials {
            coordinator: client.client().addresses(),
            authorities: client.client().authorities().map(str::to_owned),
            token: client.token(),
        };
        let message = Message::registered(self.registration, &credentials);
        let mut state = self.supervisor.state();
        state.registrations.insert(self.registration, credentials);
        state.send(&message);
    }

    /// Removes the registration: it needs no sign-off any more.
    pub(crate) fn deregister(&self) {
        let mut state = self.supervisor.state();
        state.registrations.remove(&self.registration);
        state.send(&Message::Left { registration: self.registration });
    }
}

impl State {
    /// Sends a message to the guard. If the guard has died, the message is lost; the next one receives the whole state.
    fn send(&mut self, message: &Message) {
        if let Some(pipe) = &mut self.pipe
            && let Err(error) = pipe.write_all(&message.line())
        {
            tracing::debug!(%error, "failed to send a message to the guard");
        }
    }
}

impl GuardSupervisor {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a guard process, and sends it all registrations.
    fn spawn_guard(&self) -> io::Result<Child> {
        let (program, args) = self.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let passed_on = INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut command = Command::new(program);
        command
            .args(args)
            // The guard needs little of the worker's environment, and outlives signals to the terminal and
            // directory locks.
            .env_clear()
            .envs(passed_on)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::from(self.table.file()?))
            .stderr(Stdio::null());
        let mut child = children::spawn(|| command.spawn())?;
        let mut state = self.state();
        // If the worker is ending, the pipe closes and the guard exits.
        if !state.is_stopping {
            state.pipe = child.stdin.take();
            let registrations = state.registrations.iter();
            let registrations = registrations.map(|(number, it)| Message::registered(*number, it));
            let groups = state.groups.clone().map(|root| Message::Groups { root });
            let messages: Vec<Message> = registrations.chain(groups).collect();
            for message in &messages {
                state.send(message);
            }
        }
        child.stdin = None;
        Ok(child)
    }

    /// Restarts the guard whenever it ends, until the worker does.
    fn supervise(&self, mut guard: Child) {
        let mut pause = MIN_RESTART_PAUSE;
        loop {
            let ended = guard.wait();
            if let Ok(pid) = children::pid_of(&guard) {
                children::reaped(pid);
            }
            if self.state().is_stopping {
                return;
            }
            tracing::warn!(?ended, "the guard ended unexpectedly; restarting it");
            guard = loop {
                std::thread::sleep(pause);
                pause = (pause * 2).min(MAX_RESTART_PAUSE);
                match self.spawn_guard() {
                    Ok(guard) => break guard,
                    Err(error) => {
                        tracing::warn!(%error, "failed to restart the guard; if this worker is killed, its commands run on");
                    }
                }
                if self.state().is_stopping {
                    return;
                }
            };
        }
    }
}
