//! Takes tasks back from workers that are silent for too long, or that hold one for too long.

use std::time::Duration;

use mitosis_domain::lease::Moment;
use mitosis_store::StoreError;
use mitosis_store::ops::reaper::{ReapReason, Reaped};

use crate::app::App;
use crate::error::chain;

/// Most workers that one pass takes tasks from, so that it stays short.
const AT_ONCE: u32 = 100;

/// Runs the pass about once a second until the application stops.
///
/// The time of leases stands still while no coordinator gets through with it, so an outage costs no worker its lease.
pub(super) async fn run(app: App) {
    let period = (app.lease / 10).clamp(Duration::from_millis(50), Duration::from_secs(1));
    while super::pause(&app, period).await {
        if let Err(error) = pass(&app).await {
            tracing::warn!(cause = chain(&error), "could not look for lost workers");
        }
    }
}

async fn pass(app: &App) -> Result<(), StoreError> {
    let watch = app.leases.look(&*app.store).await?;
    if !watch.due {
        return Ok(());
    }
    let at = Moment { now: app.now(), lease: watch.time() };
    loop {
        let reaped = app.store.reap(at, AT_ONCE).await?;
        for lost in &reaped {
            took_back(app, lost);
        }
        if !reaped.is_empty() {
            app.bell.ring();
        }
        if reaped.len() < AT_ONCE as usize {
            return Ok(());
        }
    }
}

fn took_back(app: &App, Reaped { worker, reason, returned }: &Reaped) {
    match reason {
        ReapReason::Silent | ReapReason::Overdue => {
            tracing::warn!(%worker, ?reason, ?returned, "removed a worker; its tasks wait for another");
        }
        ReapReason::TaskLimit => {
            tracing::warn!(%worker, ?returned, "a worker is silent; tasks that allow it wait for another");
            app.summon(*worker);
        }
    }
    for task in returned {
        app.output.changed(*task);
        app.announcer.left(*task);
    }
}
