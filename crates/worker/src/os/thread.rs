//! A dedicated thread for each slot, for blocking calls: starting a command and waiting for its end.
//!
//! A thread that blocks in the system call is woken by the end of the command. Waiting on threads of the runtime
//! costs several calls and wake-ups for each command, which is most of the cost of a short one.

use std::io;
use std::sync::mpsc::{Sender, channel};

use nix::sys::prctl::set_no_new_privs;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::confinement::Confinement;
use super::guard::SlotEntry;

/// Enough for packing an archive in a debug build. Only what is used takes memory.
const STACK_BYTES: usize = 2 * 1024 * 1024;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that runs jobs one after the other. It ends when the last clone is dropped and its jobs are done.
#[derive(Debug, Clone)]
pub(crate) struct Thread {
    jobs: Sender<Job>,
    /// The table entry in which the guard finds the running group.
    pub(crate) entry: Option<SlotEntry>,
    /// How the commands that it starts are confined.
    pub(crate) confinement: Confinement,
}

impl Thread {
    /// Starts the thread.
    pub(crate) fn start(entry: Option<SlotEntry>, confinement: Confinement) -> io::Result<Self> {
        let (sender, jobs) = channel::<Job>();
        let no_new_privileges = confinement.no_new_privileges;
        let serve = move || {
            // This thread starts the commands, which inherit it.
            if no_new_privileges && let Err(error) = set_no_new_privs() {
                tracing::warn!(%error, "commands of this slot may gain privileges");
            }
            for job in jobs {
                job();
            }
        };
        std::thread::Builder::new().name("mito-slot".to_owned()).stack_size(STACK_BYTES).spawn(serve)?;
        Ok(Self { jobs: sender, entry, confinement })
    }

    /// Runs a job on the thread. A job that has started is completed even if its caller was dropped.
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            // The caller may have been dropped.
            answer.send(job()).ok();
        });
        self.jobs.send(job).expect("the thread lives as long as its handles");
        answered.await.expect("a job does not panic")
    }

    /// Waits until all earlier jobs are done, at most until the deadline.
    pub(crate) async fn wait_idle(&self, deadline: Instant) {
        if tokio::time::timeout_at(deadline, self.run(|| ())).await.is_err() {
            tracing::warn!("a killed command is still alive; continuing without it");
        }
    }
}
