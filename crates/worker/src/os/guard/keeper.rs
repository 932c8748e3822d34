//! The whole life of the second process.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use mitosis_client::{Client, ClientError};
use mitosis_domain::backoff::Backoff;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_dumpable;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;

use super::message::{Credentials, Message};
use super::table::{Entry, Reader};
use crate::os::boot_clock::BootInstant;

/// Between the first word to the commands of a worker that is gone, and the last.
const GRACE: Duration = Duration::from_secs(2);
/// What was killed gets this long to be dead.
const DYING: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Longest time between two looks at the table. Timers stand still while the machine is suspended.
const LOOK_AT_LEASES: Duration = Duration::from_secs(1);
/// How long it tries to give tasks back. After that, the end of their lease does it.
const LONGEST_GOODBYE: Duration = Duration::from_secs(120);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Guards a worker until it is gone, then ends what it left running and gives its tasks back. Standard
/// input is the pipe, standard output the table.
///
/// # Errors
/// When the table can't be read: this was not started by a worker.
pub fn keep_guard() -> io::Result<()> {
    // A service is often stopped by a signal to all of its processes, and this has to be the last of them.
    let deaf: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1]
        .into_iter()
        .collect();
    deaf.thread_block()?;
    // It holds the worker's token, and commands run as the same user.
    set_dumpable(false)?;
    let table = Reader::new(File::from(io::stdout().as_fd().try_clone_to_owned()?))?;
    let pipe = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut worker = Worker { pipe, unread: Vec::new(), registrations: BTreeMap::new() };
    while worker.lives(until_the_next_look(&table.entries()?))? {
        for entry in table.entries()? {
            kill_if_overdue(&table, &entry)?;
        }
    }
    end(table.entries()?.iter().map(|entry| entry.group).collect());
    give_back(worker.registrations);
    Ok(())
}

fn until_the_next_look(entries: &[Entry]) -> Duration {
    let now = BootInstant::of_the_system();
    let next = entries.iter().filter_map(|entry| entry.deadline).map(|deadline| deadline.since(now)).min();
    next.map_or(LOOK_AT_LEASES, |next| next.min(LOOK_AT_LEASES))
}

/// The worker should have done that already, and is not able to. Somebody else may start the task any moment, so
/// there is no grace.
fn kill_if_overdue(table: &Reader, entry: &Entry) -> io::Result<()> {
    if entry.deadline.is_some_and(|deadline| deadline <= BootInstant::of_the_system()) {
        table.note_killed(entry)?;
        // Whoever has gone meanwhile needs no signal.
        let _ = killpg(entry.group, Signal::SIGKILL);
    }
    Ok(())
}

/// The other end of the pipe.
struct Worker {
    pipe: File,
    unread: Vec<u8>,
    registrations: BTreeMap<usize, Credentials>,
}

impl Worker {
    /// Waits for so long, or until the worker says something. Answers whether it is still there.
    fn lives(&mut self, wait: Duration) -> io::Result<bool> {
        // Rounded up, so that a deadline has passed when it is looked at.
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
                self.hear();
                Ok(true)
            }
        }
    }

    /// Takes in all whole lines.
    fn hear(&mut self) {
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Message::Registered { registration, coordinator, authorities, token }) => {
                    let credentials = Credentials { coordinator, authorities, token: token.into() };
                    self.registrations.insert(registration, credentials);
                }
                Ok(Message::Left { registration }) => drop(self.registrations.remove(&registration)),
                // Of a newer worker; there is nobody to complain to.
                Err(_) => {}
            }
        }
    }
}

/// Asks, waits, insists, and waits a little again.
fn end(mut groups: Vec<Pid>) {
    groups.retain(|group| killpg(*group, Signal::SIGTERM).is_ok());
    wait_for(&mut groups, GRACE);
    groups.retain(|group| killpg(*group, Signal::SIGKILL).is_ok());
    wait_for(&mut groups, DYING);
}

fn wait_for(groups: &mut Vec<Pid>, limit: Duration) {
    let deadline = Instant::now() + limit;
    while !groups.is_empty() && Instant::now() < deadline {
        std::thread::sleep(LOOK_AGAIN);
        groups.retain(|group| killpg(*group, None).is_ok());
    }
}

/// Signs off for the worker, so that its tasks can run elsewhere at once.
fn give_back(registrations: BTreeMap<usize, Credentials>) {
    if registrations.is_empty() {
        return;
    }
    // Without a runtime, the end of the leases does it, later.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let mut calls = tokio::task::JoinSet::new();
        for credentials in registrations.into_values() {
            calls.spawn(sign_off(credentials));
        }
        let _ = tokio::time::timeout(LONGEST_GOODBYE, calls.join_all()).await;
    });
}

async fn sign_off(credentials: Credentials) -> Result<(), ClientError> {
    let client = Client::trusting(&credentials.coordinator, credentials.authorities.as_deref())?;
    let client = client.with_worker_token(credentials.token);
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        match client.report_death().await {
            Err(error) if error.is_transient() => {
                tokio::time::sleep(backoff.next_wait(u32::MAX)).await;
            }
            answer => return answer,
        }
    }
}
