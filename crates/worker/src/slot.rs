//! One slot: a registration after the other, for as long as the worker lives.

use tokio_util::sync::CancellationToken;

use crate::insist::Waits;
use crate::session::{Farewell, Session};
use crate::settings::Settings;
use crate::worker::{Ended, WorkerError};

/// Keeps one slot busy until there is a reason to end.
pub(crate) async fn keep_busy(settings: Settings, stop: CancellationToken) -> Result<Ended, WorkerError> {
    let mut waits = Waits::new(&*settings.entropy);
    loop {
        let session = tokio::select! {
            session = Session::open(&settings) => session?,
            () = stop.cancelled() => return Ok(Ended::Stopped),
        };
        let farewell = session.serve(&stop).await;
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
