//! The supervisor process: answers requests on its socket until no worker is left.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::log;
use super::protocol::{Reply, Request, read_message, write_message};
use super::state_dir::StateDir;
use super::workers::{Closed, DrainUntil, Workers};

/// How long the supervisor runs after the last worker has exited, so that `status` can still show why.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// The maximum time for a request to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two checks of the size of the logs.
const TRIM_INTERVAL: Duration = Duration::from_secs(10);
/// The pause after a failed accept, which usually means too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Supervises workers, and answers requests about them.
pub struct Supervisor {
    dir: StateDir,
    workers: Arc<Workers>,
    exit: CancellationToken,
}

impl Supervisor {
    /// For the holder of the [`LockFile`](super::LockFile) only. Workers that exit with one of `permanent_failures` are
    /// not restarted.
    pub fn new(dir: StateDir, permanent_failures: &'static [u8]) -> Self {
        let workers = Arc::new(Workers::new(dir.clone(), permanent_failures));
        Self { dir, workers, exit: CancellationToken::new() }
    }

    /// Binds the socket, and replaces a stale one.
    pub fn listen(&self) -> io::Result<UnixListener> {
        match std::fs::remove_file(self.dir.socket()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(self.dir.socket())?;
        std::fs::set_permissions(self.dir.socket(), Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Serves until a request or `stop_requested` ends it, or until it has been idle for a while. `stop_requested`
    /// completes at each request to stop this process, with its name; the second one exits at once.
    pub async fn serve(self, listener: UnixListener, mut stop_requested: impl AsyncFnMut() -> &'static str) {
        tokio::select! {
            () = self.accept(&listener) => {}
            () = self.trim_logs() => {}
            () = self.idle() => tracing::info!("no workers left"),
            () = self.exit.cancelled() => tracing::info!("all workers were stopped on request"),
            signal = stop_requested() => tracing::info!(signal, "stopping all workers"),
        }
        tokio::select! {
            _ = self.workers.shut_down() => {}
            // The workers exit by themselves when this process does.
            signal = stop_requested() => tracing::warn!(signal, "exiting at once"),
        }
        // A later request finds no socket, and starts another supervisor.
        drop(listener);
        if let Err(error) = std::fs::remove_file(self.dir.socket()) {
            tracing::warn!(%error, "cannot remove the socket");
        }
    }

    async fn accept(&self, listener: &UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    mitosis_background::spawn(
                        "request",
                        answer(stream, self.workers.clone(), self.exit.clone()),
                    );
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn idle(&self) {
        loop {
            self.workers.none_alive().await;
            tokio::select! {
                () = tokio::time::sleep(IDLE_TIMEOUT) => {
                    if self.workers.close_if_none_alive() {
                        return;
                    }
                }
                () = self.workers.some_alive() => {}
            }
        }
    }

    async fn trim_logs(&self) {
        loop {
            tokio::time::sleep(TRIM_INTERVAL).await;
            let logs = self.workers.statuses().into_iter().map(|worker| self.dir.worker_log(worker.number));
            for path in logs.chain([self.dir.supervisor_log()]) {
                if let Err(error) = log::trim(&path) {
                    tracing::warn!(%error, "cannot trim {}", path.display());
                }
            }
        }
    }
}

/// One request, one reply. Other users get none.
async fn answer(mut stream: UnixStream, workers: Arc<Workers>, exit: CancellationToken) {
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == geteuid().as_raw() => {}
        Ok(peer) => return tracing::warn!(uid = peer.uid(), "refused a request of another user"),
        Err(error) => return tracing::warn!(%error, "cannot read the credentials of a peer"),
    }
    let mut is_last = false;
    let reply = match tokio::time::timeout(REQUEST_TIMEOUT, read_message(&mut stream)).await {
        Ok(Ok(Some(request))) => {
            is_last = matches!(&request, Request::Kill { numbers } if numbers.is_empty());
            execute(request, &workers).await
        }
        Ok(Ok(None)) | Err(_) => return,
        Ok(Err(error)) => Reply::Refused(error.to_string()),
    };
    if let Err(error) = write_message(&mut stream, &reply).await {
        tracing::debug!(%error, "cannot send a reply");
    }
    if is_last {
        exit.cancel();
    }
}

async fn execute(request: Request, workers: &Arc<Workers>) -> Reply {
    match request {
        Request::Status => Reply::Workers(workers.statuses()),
        Request::Spawn { count, command } => match workers.spawn(count, &command) {
            Ok(()) => {
                workers.started().await;
                Reply::Workers(workers.statuses())
            }
            Err(Closed) => Reply::Leaving,
        },
        Request::Drain { numbers, wait } => {
            let until = if wait { DrainUntil::Exited } else { DrainUntil::Draining };
            let (asked, unknown) = workers.drain(numbers, until).await;
            Reply::Draining { asked, unknown }
        }
        Request::Kill { numbers } if numbers.is_empty() => {
            Reply::Stopped { ended: workers.shut_down().await, unknown: Vec::new() }
        }
        Request::Kill { numbers } => {
            let (ended, unknown) = workers.stop(&numbers).await;
            Reply::Stopped { ended, unknown }
        }
    }
}
