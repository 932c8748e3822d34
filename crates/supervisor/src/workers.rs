//! The workers of this supervisor.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::protocol::{State, WorkerCommand, WorkerStatus};
use super::state_dir::StateDir;
use super::worker_process::{Snapshot, WorkerProcess};

/// The workers, in the order of their numbers.
pub(super) struct Workers {
    dir: StateDir,
    permanent_failures: &'static [u8],
    list: Mutex<List>,
    /// The number of live workers.
    alive: watch::Sender<usize>,
}

#[derive(Default)]
struct List {
    workers: Vec<Worker>,
    /// Whether no worker can be added.
    closed: bool,
}

/// Handle of a supervised worker.
struct Worker {
    number: u32,
    snapshot: watch::Receiver<Snapshot>,
    stop: CancellationToken,
    drain: CancellationToken,
}

/// No worker can be added: this supervisor is about to exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed;

/// How long [`Workers::drain`] waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DrainUntil {
    /// Until the workers are draining, so that `status` shows it.
    Draining,
    /// Until the workers have exited.
    Exited,
}

impl Workers {
    pub(super) fn new(dir: StateDir, permanent_failures: &'static [u8]) -> Self {
        Self { dir, permanent_failures, list: Mutex::default(), alive: watch::Sender::new(0) }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // A panic can't leave the list in an inconsistent state.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts `count` more workers.
    pub(super) fn spawn(self: &Arc<Self>, count: u16, command: &WorkerCommand) -> Result<(), Closed> {
        let mut list = self.list();
        if list.closed {
            return Err(Closed);
        }
        for _ in 0..count {
            let number = list.workers.last().map_or(1, |last| last.number + 1);
            let (sender, snapshot) = watch::channel(Snapshot::new());
            let (stop, drain) = (CancellationToken::new(), CancellationToken::new());
            let process = WorkerProcess {
                number,
                command: command.clone(),
                log: self.dir.worker_log(number),
                permanent_failures: self.permanent_failures,
                snapshot: sender,
                stop: stop.clone(),
                drain: drain.clone(),
            };
            list.workers.push(Worker { number, snapshot, stop, drain });
            self.supervise(process);
        }
        Ok(())
    }

    fn supervise(self: &Arc<Self>, process: WorkerProcess) -> JoinHandle<()> {
        self.alive.send_modify(|alive| *alive += 1);
        let workers = self.clone();
        mitosis_background::spawn("worker-process", async move {
            process.supervise().await;
            workers.alive.send_modify(|alive| *alive -= 1);
        })
    }

    pub(super) fn statuses(&self) -> Vec<WorkerStatus> {
        self.list().workers.iter().map(|worker| worker.snapshot.borrow().status(worker.number)).collect()
    }

    /// Completes when every worker has a process, or has failed to start one.
    pub(super) async fn started(&self) {
        let all: Vec<_> = self.list().workers.iter().map(|worker| worker.snapshot.clone()).collect();
        for mut snapshot in all {
            // An error means that the worker is no longer supervised, which counts as started.
            let _ = snapshot.wait_for(|worker| worker.pid.is_some() || worker.last_end.is_some()).await;
        }
    }

    /// Stops workers, and waits until they have exited. Returns how many were alive, and the unknown numbers.
    pub(super) async fn stop(&self, numbers: &[u32]) -> (usize, Vec<u32>) {
        let (stopping, unknown) = self.cancel(numbers, |worker| &worker.stop);
        let ended = stopping.len();
        exited(stopping).await;
        (ended, unknown)
    }

    /// Drains workers, all of them if no number is given. Returns how many were alive, and the unknown numbers.
    pub(super) async fn drain(&self, numbers: Vec<u32>, until: DrainUntil) -> (usize, Vec<u32>) {
        let numbers = if numbers.is_empty() { self.numbers() } else { numbers };
        let (draining, unknown) = self.cancel(&numbers, |worker| &worker.drain);
        let asked = draining.len();
        match until {
            DrainUntil::Exited => exited(draining).await,
            DrainUntil::Draining => not_running(draining).await,
        }
        (asked, unknown)
    }

    fn numbers(&self) -> Vec<u32> {
        self.list().workers.iter().map(|worker| worker.number).collect()
    }

    /// Cancels a token of each of these workers that is alive. Returns those workers, and the unknown numbers.
    fn cancel(
        &self,
        numbers: &[u32],
        token: impl Fn(&Worker) -> &CancellationToken,
    ) -> (Vec<watch::Receiver<Snapshot>>, Vec<u32>) {
        let list = self.list();
        let exists = |number: &u32| list.workers.iter().any(|worker| worker.number == *number);
        let unknown = numbers.iter().copied().filter(|number| !exists(number)).collect();
        let mut cancelled = Vec::new();
        for worker in list.workers.iter().filter(|worker| numbers.contains(&worker.number)) {
            if worker.snapshot.borrow().state.is_alive() {
                token(worker).cancel();
                cancelled.push(worker.snapshot.clone());
            }
        }
        (cancelled, unknown)
    }

    /// Refuses further workers, and stops all. Returns how many were alive.
    pub(super) async fn shut_down(&self) -> usize {
        self.list().closed = true;
        self.stop(&self.numbers()).await.0
    }

    /// Refuses further workers, if none is alive.
    pub(super) fn close_if_none_alive(&self) -> bool {
        let mut list = self.list();
        list.closed |= *self.alive.borrow() == 0;
        list.closed
    }

    /// Completes when no worker is alive.
    pub(super) async fn none_alive(&self) {
        let _ = self.alive.subscribe().wait_for(|alive| *alive == 0).await;
    }

    /// Completes when a worker is alive.
    pub(super) async fn some_alive(&self) {
        let _ = self.alive.subscribe().wait_for(|alive| *alive > 0).await;
    }
}

async fn exited(workers: Vec<watch::Receiver<Snapshot>>) {
    for mut snapshot in workers {
        // An error means that the worker is no longer supervised: it has exited.
        let _ = snapshot.wait_for(|worker| !worker.state.is_alive()).await;
    }
}

async fn not_running(workers: Vec<watch::Receiver<Snapshot>>) {
    for mut snapshot in workers {
        let _ = snapshot.wait_for(|worker| !matches!(worker.state, State::Running | State::Waiting)).await;
    }
}
