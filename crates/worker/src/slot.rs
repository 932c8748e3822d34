//! A series of registrations, one after the other, for as long as the worker lives.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::insist::Waits;
use crate::session::{Farewell, Session};
use crate::settings::Settings;
use crate::worker::{Ended, WorkerError};

/// Keeps a registration with so many slots busy until there is a reason to end. The first may have been
/// made already.
pub(crate) async fn keep_busy(
    settings: Settings,
    slots: usize,
    mut first: Option<Session>,
    stop: CancellationToken,
) -> Result<Ended, WorkerError> {
    let mut waits = Waits::new(&*settings.entropy);
    loop {
        let session = match first.take() {
            Some(session) => session,
            None => tokio::select! {
                session = Session::open(&settings, slots) => session?,
                () = stop.cancelled() => return Ok(Ended::Stopped),
            },
        };
        let session = Arc::new(session);
        let farewell = session.serve(slots, &stop).await;
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
