//! Keeps a worker registered: one session after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::exit::{WorkerError, WorkerExit};
use crate::os::confinement::Confinement;
use crate::os::guard::{GuardHandle, SlotEntry};
use crate::os::thread::Thread;
use crate::retry::BackoffTimer;
use crate::run::Protocol;
use crate::session::{Session, SessionEnd};
use crate::settings::Settings;

/// How long a killed command may take to die.
const KILL_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves a registration with a slot for each entry, and registers again when its session is lost. The first
/// session may exist already.
pub(crate) async fn serve_registration(
    settings: Settings,
    entries: Vec<Option<SlotEntry>>,
    guard_handle: Option<GuardHandle>,
    mut first: Option<Session>,
    confinement: Confinement,
    stop: CancellationToken,
) -> Result<WorkerExit, WorkerError> {
    let mut backoff = BackoffTimer::new(&*settings.entropy);
    let threads = entries.into_iter().map(|entry| Thread::start(entry, confinement.clone()));
    let threads: Vec<Thread> = threads.collect::<Result<_, _>>().map_err(WorkerError::Thread)?;
    loop {
        let session = match first.take() {
            Some(session) => session,
            None => tokio::select! {
                session = Session::open(&settings) => session?,
                () = stop.cancelled() => return Ok(WorkerExit::Stopped),
            },
        };
        let session = Arc::new(session.with_guard(guard_handle.clone()));
        let contexts = session.slots(&threads);
        let session_end = match session.context.protocol {
            Protocol::Native => session.serve_as_agent(contexts, &stop).await,
            Protocol::Legacy => {
                let context = contexts.first().expect("a registration has a slot");
                session.serve(context, &stop).await
            }
        };
        // Killed commands are dead before their directories are removed and before another worker gets their
        // tasks.
        let deadline = Instant::now() + KILL_TIMEOUT;
        for thread in &threads {
            thread.wait_idle(deadline).await;
        }
        session.close(session_end).await;
        match session_end {
            SessionEnd::Stopped => return Ok(WorkerExit::Stopped),
            SessionEnd::Removed => {
                tracing::info!("the coordinator removed this worker, or its lifetime has ended");
                return Ok(WorkerExit::Removed);
            }
            SessionEnd::Reregister => tracing::warn!("session lost; registering again"),
        }
        tokio::select! {
            () = backoff.pause() => {}
            () = stop.cancelled() => return Ok(WorkerExit::Stopped),
        }
    }
}
