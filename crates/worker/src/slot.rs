//! A series of registrations, one after the other, for as long as the worker lives.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::insist::Waits;
use crate::os::guard::{Guarded, Mark};
use crate::os::thread::Thread;
use crate::session::{Farewell, Session};
use crate::settings::Settings;
use crate::worker::{Ended, WorkerError};

/// How long a killed command may take to be dead.
const DYING: Duration = Duration::from_secs(3);

/// Keeps a registration busy until there is a reason to end, with a slot for each mark. The first may have
/// been made already.
pub(crate) async fn keep_busy(
    settings: Settings,
    marks: Vec<Option<Mark>>,
    guarded: Option<Guarded>,
    mut first: Option<Session>,
    stop: CancellationToken,
) -> Result<Ended, WorkerError> {
    let mut waits = Waits::new(&*settings.entropy);
    let slots = marks.len();
    let threads: Vec<Thread> =
        marks.into_iter().map(Thread::start).collect::<Result<_, _>>().map_err(WorkerError::Thread)?;
    loop {
        let session = match first.take() {
            Some(session) => session,
            None => tokio::select! {
                session = Session::open(&settings, slots) => session?,
                () = stop.cancelled() => return Ok(Ended::Stopped),
            },
        };
        let session = Arc::new(session.guarded_by(guarded.clone()));
        let farewell = session.serve(&threads, &stop).await;
        // What was killed is dead before its directories go, and before somebody else is let in.
        let deadline = Instant::now() + DYING;
        for thread in &threads {
            thread.rest(deadline).await;
        }
        session.close(farewell).await;
        match farewell {
            Farewell::Stopped => return Ok(Ended::Stopped),
            Farewell::Removed => {
                tracing::info!("the coordinator removed this worker, or its lifetime is over");
                return Ok(Ended::Removed);
            }
            Farewell::GivenUp => tracing::warn!("registering again"),
        }
        tokio::select! {
            () = waits.pause() => {}
            () = stop.cancelled() => return Ok(Ended::Stopped),
        }
    }
}
