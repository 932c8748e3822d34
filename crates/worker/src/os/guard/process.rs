//! The main loop of the guard process.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

use mitosis_client::{Client, ClientError};
use mitosis_domain::backoff::Backoff;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_dumpable;
use nix::sys::signal::{SigSet, Signal};

use super::message::{Credentials, Message};
use super::table::{Reader, RunningGroup};
use crate::os::boot_clock::BootInstant;
use crate::os::cgroup::kill_attempts;
use crate::os::process_tree::{Ending, Finder, Tree};

/// Time between SIGTERM and SIGKILL for the commands of a worker that has died.
const GRACE: Duration = Duration::from_secs(2);
/// How long killed commands may take to die.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);
/// The maximum time between two checks of the table. Timers stop while the machine is suspended.
const LEASE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long the guard tries to return tasks. After that, they return when their lease expires.
const SIGN_OFF_TIMEOUT: Duration = Duration::from_secs(120);
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Guards a worker until it exits, then ends its commands and returns its tasks. Standard input is the
/// pipe, standard output the table.
///
/// # Errors
/// Fails if the table is unreadable: the process was not started by a worker.
pub fn run_guard() -> io::Result<()> {
    // A service is often stopped by a signal to all of its processes, and the guard must end last.
    let blocked: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1]
        .into_iter()
        .collect();
    blocked.thread_block()?;
    // The guard holds the worker's token, and commands run as the same user.
    set_dumpable(false)?;
    let table = Reader::new(File::from(io::stdout().as_fd().try_clone_to_owned()?))?;
    let pipe = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut worker = Worker { pipe, unread: Vec::new(), registrations: BTreeMap::new(), groups: None };
    while worker.wait(time_to_next_check(&table.entries()?))? {
        for entry in table.entries()? {
            kill_if_overdue(&table, &entry)?;
        }
    }
    end(&table.entries()?, GRACE);
    if let Some(root) = &worker.groups {
        kill_attempts(root);
    }
    return_tasks(worker.registrations);
    Ok(())
}

fn time_to_next_check(entries: &[RunningGroup]) -> Duration {
    let now = BootInstant::system_now();
    let next = entries.iter().filter_map(|entry| entry.deadline).map(|deadline| deadline.since(now)).min();
    next.map_or(LEASE_CHECK_INTERVAL, |next| next.min(LEASE_CHECK_INTERVAL))
}

/// Kills a group whose lease has expired and whose worker failed to kill it. There is no grace period, because
/// another worker may start the task at any moment.
fn kill_if_overdue(table: &Reader, entry: &RunningGroup) -> io::Result<()> {
    if entry.deadline.is_some_and(|deadline| deadline <= BootInstant::system_now()) {
        table.record_kill(entry)?;
        end(&[*entry], Duration::ZERO);
    }
    Ok(())
}

/// The worker at the other end of the pipe.
struct Worker {
    pipe: File,
    unread: Vec<u8>,
    registrations: BTreeMap<usize, Credentials>,
    groups: Option<PathBuf>,
}

impl Worker {
    /// Waits for the given time, or until the worker sends something. Returns whether the worker is still
    /// alive.
    fn wait(&mut self, wait: Duration) -> io::Result<bool> {
        // Rounded up, so that a deadline has passed when it is checked.
        let wait = PollTimeout::try_from(wait + Duration::from_millis(1)).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)], wait) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(true),
            polled => polled?,
        };
        let mut some = [0; 4096];
        match self.pipe.read(&mut some)? {
            0 => Ok(false),
            length => {
                self.unread.extend_from_slice(&some[..length]);
                self.receive();
                Ok(true)
            }
        }
    }

    /// Processes all complete lines.
    fn receive(&mut self) {
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Message::Registered { registration, coordinator, authorities, token }) => {
                    let credentials = Credentials { coordinator, authorities, token: token.into() };
                    self.registrations.insert(registration, credentials);
                }
                Ok(Message::Left { registration }) => drop(self.registrations.remove(&registration)),
                Ok(Message::Groups { root }) => self.groups = Some(root.into()),
                // A message of a newer worker; it is ignored.
                Err(_) => {}
            }
        }
    }
}

/// Ends all processes of these attempts: SIGTERM, and SIGKILL after the grace.
fn end(entries: &[RunningGroup], grace: Duration) {
    let tree = |it: &RunningGroup| Tree { group: Some(it.group), mark: it.mark, since: it.since };
    let ending = Ending { grace, limit: KILL_TIMEOUT, is_killed: &|| grace.is_zero(), reap: &|| () };
    ending.end(entries.iter().map(tree).collect(), &mut Finder::new(&|_| false));
}

/// Signs off for the worker, so that its tasks can run elsewhere at once.
fn return_tasks(registrations: BTreeMap<usize, Credentials>) {
    if registrations.is_empty() {
        return;
    }
    // Without a runtime, the tasks return when their leases expire.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let mut calls = tokio::task::JoinSet::new();
        for credentials in registrations.into_values() {
            calls.spawn(sign_off(credentials));
        }
        let _ = tokio::time::timeout(SIGN_OFF_TIMEOUT, calls.join_all()).await;
    });
}

async fn sign_off(credentials: Credentials) -> Result<(), ClientError> {
    let client = Client::trusting(&credentials.coordinator, credentials.authorities.as_deref())?;
    let client = client.with_worker_token(credentials.token);
    let mut backoff = Backoff::new(MIN_BACKOFF, MAX_BACKOFF);
    loop {
        match client.report_death().await {
            Err(error) if error.is_transient() => {
                tokio::time::sleep(backoff.next_wait(u32::MAX)).await;
            }
            answer => return answer,
        }
    }
}
