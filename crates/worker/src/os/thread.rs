//! A thread of a slot's own, for what holds a thread up: starting a command and waiting for its end.
//!
//! One that waits in the system call is woken by the end itself. Waiting for many on the threads of the
//! runtime costs several calls and wake-ups a command, which is most of what a short one takes.

use std::io;
use std::sync::mpsc::{Sender, channel};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::guard::Mark;

/// Enough for what is done there, and little beside a task.
const STACK_BYTES: usize = 256 * 1024;

type Job = Box<dyn FnOnce() + Send>;

/// Does one job after the other. It ends when the last clone of this is dropped and its work is done.
#[derive(Debug, Clone)]
pub(crate) struct Thread {
    jobs: Sender<Job>,
    /// Where the guard looks for what runs here.
    pub(crate) mark: Option<Mark>,
}

impl Thread {
    /// Starts it.
    pub(crate) fn start(mark: Option<Mark>) -> io::Result<Self> {
        let (sender, jobs) = channel::<Job>();
        let serve = move || jobs.into_iter().for_each(|job| job());
        std::thread::Builder::new().name("mito-slot".to_owned()).stack_size(STACK_BYTES).spawn(serve)?;
        Ok(Self { jobs: sender, mark })
    }

    /// Has a job done. One that was begun is ended even if nobody waits for it any more.
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            // Whoever wanted it may have gone.
            answer.send(job()).ok();
        });
        self.jobs.send(job).expect("the thread lives as long as this");
        answered.await.expect("a job does not panic")
    }

    /// Waits until everything before is done, but not longer than until then.
    pub(crate) async fn rest(&self, deadline: Instant) {
        if tokio::time::timeout_at(deadline, self.run(|| ())).await.is_err() {
            tracing::warn!("a killed command is not dead yet; going on without it");
        }
    }
}
