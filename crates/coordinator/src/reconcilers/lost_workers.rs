//! Requeues the tasks of workers that are silent for too long, or that hold a task for too long.

use std::time::Duration;

use mitosis_domain::lease::Moment;
use mitosis_store::ops::reaper::{ReapReason, Reaped};

use super::Report;
use crate::app::App;
use crate::error::ApiError;

/// The largest number of workers in one transaction, so that it stays short.
const BATCH_SIZE: u32 = 100;

/// How often the pass runs: about once a second, more often if the lease is short.
pub(super) fn period(app: &App) -> Duration {
    (app.lease / 10).clamp(Duration::from_millis(50), Duration::from_secs(1))
}

/// Requeues the tasks of workers whose lease has expired.
///
/// Lease time stops while no coordinator can reach the database, so an outage ends no lease.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    let watch = app.cluster_clock.refresh(&*app.store).await?;
    if !watch.due {
        return Ok(Report::default());
    }
    let (mut workers, mut tasks) = (0, 0);
    let at = Moment { now: app.now(), lease: watch.time() };
    loop {
        let reaped = app.publish(app.store.reap(at, BATCH_SIZE).await?);
        for lost in &reaped {
            report_reaped(&app, lost);
            tasks += lost.returned.len() as u64;
        }
        workers += reaped.len() as u64;
        if reaped.len() < BATCH_SIZE as usize {
            app.metrics.lost_workers.inc_by(workers);
            app.metrics.requeued.inc_by(tasks);
            return Ok(Report::new([("silent workers", workers), ("requeued tasks", tasks)]));
        }
    }
}

fn report_reaped(app: &App, Reaped { worker, reason, returned }: &Reaped) {
    match reason {
        ReapReason::Silent | ReapReason::Overdue => {
            tracing::warn!(%worker, ?reason, ?returned, "removed a worker; its tasks are requeued");
        }
        ReapReason::TaskLimit => {
            tracing::warn!(%worker, ?returned, "a worker is silent; requeued the tasks whose `lost_after` has passed");
        }
    }
    for task in returned {
        app.announcer.left(*task);
    }
}
