//! A second, small process beside the worker, which acts when the worker can't.
//!
//! It ends the commands of a worker that is gone and gives their tasks back, and it kills what runs when a lease
//! is over and the worker does nothing about it, because it is stopped or the machine was suspended. It reads
//! a pipe whose other end only the worker has, so it sees the end of the worker in whatever way that comes. What
//! runs, and until when, the worker writes into a [table] that both have open. The worker in turn sees to it
//! that there is always a guard.

mod keeper;
mod message;
mod table;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mitosis_client::WorkerClient;

pub use keeper::keep_guard;
use message::{Credentials, Message};
use table::Table;
pub(crate) use table::{Mark, TermMark};

/// Before another guard is started in the place of one that ended; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A guard needs to find a coordinator as its worker does.
const PASSED_ON: &[&str] = &[
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

/// The other process, for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Guard(Arc<Post>);

/// Where one guard after the other stands.
#[derive(Debug)]
struct Post {
    command: Vec<OsString>,
    table: Table,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The pipe to the present guard.
    pipe: Option<ChildStdin>,
    registrations: BTreeMap<usize, Credentials>,
    /// The worker ends, and so does its guard.
    is_over: bool,
}

/// What a registration tells the guard.
#[derive(Debug, Clone)]
pub(crate) struct Guarded {
    post: Arc<Post>,
    registration: usize,
}

impl Guard {
    /// Starts a process that calls [`keep_guard`], for so many registrations and slots, and sees to it that there
    /// is one until this is dropped.
    pub(crate) fn start(command: &[OsString], registrations: usize, slots: usize) -> io::Result<Self> {
        let table = Table::new(registrations, slots)?;
        let post = Arc::new(Post { command: command.to_vec(), table, state: Mutex::default() });
        let first = post.send_guard()?;
        let watched = post.clone();
        std::thread::Builder::new().name("mito-guard".to_owned()).spawn(move || watched.keep(first))?;
        Ok(Self(post))
    }

    /// The place of a slot, counted from 0.
    pub(crate) fn mark(&self, slot: usize) -> Mark {
        self.0.table.slot(slot)
    }

    /// What a registration, counted from 0, tells the guard.
    pub(crate) fn guarded(&self, registration: usize) -> Guarded {
        Guarded { post: self.0.clone(), registration }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_over = true;
        state.pipe = None;
    }
}

impl Guarded {
    /// Where the lease is noted.
    pub(crate) fn term(&self) -> TermMark {
        self.post.table.term(self.registration)
    }

    /// The guard may speak for the worker as `client` does, from now on.
    pub(crate) fn is_registered(&self, client: &WorkerClient) {
        let credentials = Credentials {
            coordinator: client.client().addresses(),
            authorities: client.client().authorities().map(str::to_owned),
            token: client.token(),
        };
        let message = Message::registered(self.registration, &credentials);
        let mut state = self.post.state();
        state.registrations.insert(self.registration, credentials);
        state.tell(&message);
    }

    /// There is nothing left to be said for this registration.
    pub(crate) fn has_left(&self) {
        let mut state = self.post.state();
        state.registrations.remove(&self.registration);
        state.tell(&Message::Left { registration: self.registration });
    }
}

impl State {
    /// A guard that is gone does not hear it; the next one is told everything.
    fn tell(&mut self, message: &Message) {
        if let Some(pipe) = &mut self.pipe
            && let Err(error) = pipe.write_all(&message.line())
        {
            tracing::debug!(%error, "the guard does not hear");
        }
    }
}

impl Post {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a guard, and tells it what the last one knew.
    fn send_guard(&self) -> io::Result<Child> {
        let (program, args) = self.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let passed_on = PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut child = Command::new(program)
            .args(args)
            // It needs little of the worker, and outlives signals to the terminal and locks on folders.
            .env_clear()
            .envs(passed_on)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::from(self.table.file()?))
            .stderr(Stdio::null())
            .spawn()?;
        let mut state = self.state();
        // Should the worker end just now, the pipe closes, and the guard goes.
        if !state.is_over {
            state.pipe = child.stdin.take();
            let known: Vec<Message> =
                state.registrations.iter().map(|(number, it)| Message::registered(*number, it)).collect();
            for message in &known {
                state.tell(message);
            }
        }
        child.stdin = None;
        Ok(child)
    }

    /// Puts another guard in the place of each that ends, until the worker does.
    fn keep(&self, mut guard: Child) {
        let mut pause = FIRST_PAUSE;
        loop {
            let ended = guard.wait();
            if self.state().is_over {
                return;
            }
            tracing::warn!(?ended, "the guard of this worker ended; starting another");
            guard = loop {
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
                match self.send_guard() {
                    Ok(guard) => break guard,
                    Err(error) => {
                        tracing::warn!(%error, "if this worker is killed, its commands will run on");
                    }
                }
                if self.state().is_over {
                    return;
                }
            };
        }
    }
}
