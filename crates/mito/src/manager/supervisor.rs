//! The supervisor: answers requests on its socket until there is nothing left to keep.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::crew::{Closed, Crew};
use super::log;
use super::place::Place;
use super::wire::{Reply, Request, hear, say};
use crate::process::signals::StopRequests;

/// How long it stays when the last worker has ended, to tell what became of them.
const LINGER: Duration = Duration::from_secs(600);
/// Longest time for a request to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks at the size of the logs.
const TIDY: Duration = Duration::from_secs(10);
/// After a failure to accept: the usual reason is too many open files.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Supervisor {
    place: Place,
    crew: Arc<Crew>,
    leave: CancellationToken,
}

impl Supervisor {
    /// For the holder of the office only.
    pub(crate) fn new(place: Place) -> Self {
        Self { crew: Arc::new(Crew::new(place.clone())), place, leave: CancellationToken::new() }
    }

    /// Takes the place of a socket that somebody left behind.
    pub(crate) fn listen(&self) -> io::Result<UnixListener> {
        match std::fs::remove_file(self.place.socket()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(self.place.socket())?;
        std::fs::set_permissions(self.place.socket(), Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Serves until it is dismissed, asked to stop, or alone for long.
    pub(crate) async fn serve(self, listener: UnixListener, requests: &mut StopRequests) {
        tokio::select! {
            () = self.answer(&listener) => {}
            () = self.keep_tidy() => {}
            () = self.nothing_left() => tracing::info!("nothing left to keep"),
            () = self.leave.cancelled() => tracing::info!("dismissed"),
            signal = requests.next() => tracing::info!(signal, "stopping all workers"),
        }
        tokio::select! {
            _ = self.crew.dismiss() => {}
            // The workers end by themselves when this process does.
            signal = requests.next() => tracing::warn!(signal, "stopping at once"),
        }
        // Whoever asks from here on finds nobody, and starts another.
        drop(listener);
        if let Err(error) = std::fs::remove_file(self.place.socket()) {
            tracing::warn!(%error, "can't remove the socket");
        }
    }

    async fn answer(&self, listener: &UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(converse(stream, self.crew.clone(), self.leave.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "can't take a request");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn nothing_left(&self) {
        loop {
            self.crew.is_empty().await;
            tokio::select! {
                () = tokio::time::sleep(LINGER) => {
                    if self.crew.close_if_empty() {
                        return;
                    }
                }
                () = self.crew.has_somebody() => {}
            }
        }
    }

    async fn keep_tidy(&self) {
        loop {
            tokio::time::sleep(TIDY).await;
            let logs = self.crew.statuses().into_iter().map(|worker| self.place.log(worker.number));
            for path in logs.chain([self.place.own_log()]) {
                if let Err(error) = log::trim(&path) {
                    tracing::warn!(%error, "can't shorten {}", path.display());
                }
            }
        }
    }
}

/// One request, one reply. Another user gets none.
async fn converse(mut stream: UnixStream, crew: Arc<Crew>, leave: CancellationToken) {
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == geteuid().as_raw() => {}
        Ok(peer) => return tracing::warn!(uid = peer.uid(), "another user is not answered"),
        Err(error) => return tracing::warn!(%error, "can't tell who asks"),
    }
    let mut is_the_last = false;
    let reply = match tokio::time::timeout(PATIENCE, hear(&mut stream)).await {
        Ok(Ok(Some(request))) => {
            is_the_last = matches!(&request, Request::Kill { numbers } if numbers.is_empty());
            reply(request, &crew).await
        }
        Ok(Ok(None)) | Err(_) => return,
        Ok(Err(error)) => Reply::Refused(error.to_string()),
    };
    if let Err(error) = say(&mut stream, &reply).await {
        tracing::debug!(%error, "the answer did not arrive");
    }
    if is_the_last {
        leave.cancel();
    }
}

async fn reply(request: Request, crew: &Arc<Crew>) -> Reply {
    match request {
        Request::Status => Reply::Workers(crew.statuses()),
        Request::Spawn { count, order } => match crew.take_on(count, &order) {
            Ok(()) => {
                crew.started().await;
                Reply::Workers(crew.statuses())
            }
            Err(Closed) => Reply::Leaving,
        },
        Request::Drain { numbers, wait } => {
            let (asked, unknown) = crew.drain(numbers, wait).await;
            Reply::Draining { asked, unknown }
        }
        Request::Kill { numbers } if numbers.is_empty() => {
            Reply::Stopped { ended: crew.dismiss().await, unknown: Vec::new() }
        }
        Request::Kill { numbers } => {
            let (ended, unknown) = crew.stop(&numbers).await;
            Reply::Stopped { ended, unknown }
        }
    }
}
