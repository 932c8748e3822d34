//! Takes tasks back from workers that are silent for too long, or that hold one for too long.

use std::time::Duration;

use mitosis_store::Fault;
use tokio::time::Instant;

use crate::app::App;
use crate::error::chain;

/// Most workers that one pass removes, so that it stays short.
const AT_ONCE: u32 = 100;

/// A coordinator that did not come to look for so long was stopped itself, or starved.
const STANDSTILL: Duration = Duration::from_secs(5);

/// Runs the pass about once a second until the application stops.
///
/// After a pass failed, or came much too late, nobody is declared dead for the time of the outage: every
/// lease is extended before the next one. Whoever was silent then had nobody to talk to.
pub(super) async fn run(app: App) {
    let period = (app.lease / 10).clamp(Duration::from_millis(50), Duration::from_secs(1));
    let mut after_outage = false;
    loop {
        let asleep = Instant::now();
        if !super::pause(&app, period).await {
            return;
        }
        after_outage |= asleep.elapsed() > period + STANDSTILL;
        match pass(&app, after_outage).await {
            Ok(()) => after_outage = false,
            Err(fault) => {
                tracing::warn!(cause = chain(&fault), "could not look for lost workers");
                after_outage = true;
            }
        }
    }
}

async fn pass(app: &App, after_outage: bool) -> Result<(), Fault> {
    if after_outage {
        let extended = app.store.extend_all_leases(app.now()).await?;
        tracing::info!(extended, "after an outage, every worker gets a whole lease");
    }
    loop {
        let reaped = app.store.reap(app.now(), AT_ONCE).await?;
        for lost in &reaped {
            tracing::warn!(worker = %lost.worker, reason = ?lost.reason, returned = ?lost.returned,
                "removed a worker; its tasks wait for another");
            for task in &lost.returned {
                app.output.changed(*task);
                app.announcer.left(*task);
            }
        }
        if !reaped.is_empty() {
            app.bell.ring();
        }
        if reaped.len() < AT_ONCE as usize {
            return Ok(());
        }
    }
}
