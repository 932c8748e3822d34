//! Periodic passes that repair the effects of failures and delete expired records.
//!
//! A pass takes no input, may run at any time and concurrently on several coordinators, and returns a [`Report`]. A
//! failed pass is logged and repeated in its next period; a pass that panics is restarted. [`Passes`] keeps the last
//! outcome of each.

mod active_jobs;
mod due_schedules;
mod garbage;
mod group_deletions;
mod lost_workers;
mod packing;
mod pass_status;
mod reservations;
mod retention;
mod shares;
mod upload_sizes;

use std::time::Duration;

use mitosis_background::Background;
use mitosis_domain::failpoints;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use pass_status::{Passes, Report};

use crate::app::App;
use crate::error::{ApiError, chain};

/// The name and the schedule of a pass.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    name: &'static str,
    period: Duration,
    /// Whether it also runs when the coordinator starts.
    at_start: bool,
}

/// Starts all passes. They end when the application stops.
pub(crate) fn start(app: &App, background: &Background) {
    let every = |name, period| Schedule { name, period, at_start: false };
    let at_start = |name, period| Schedule { name, period, at_start: true };
    repeat(app, background, at_start("jobs", active_jobs::PERIOD), active_jobs::pass);
    repeat(app, background, at_start("schedules", due_schedules::PERIOD), due_schedules::pass);
    repeat(app, background, every("lost-workers", lost_workers::period(app)), lost_workers::pass);
    repeat(app, background, at_start("shares", shares::PERIOD), shares::pass);
    repeat(app, background, every("reservations", reservations::PERIOD), reservations::pass);
    repeat(app, background, every("garbage", garbage::PERIOD), garbage::pass);
    repeat(app, background, every("uploads", upload_sizes::PERIOD), upload_sizes::pass);
    repeat(app, background, at_start("retention", retention::PERIOD), retention::pass);
    repeat(app, background, at_start("packing", packing::PERIOD), packing::pass);
    repeat(app, background, at_start("deletions", group_deletions::PERIOD), group_deletions::pass);
}

fn repeat<F>(app: &App, background: &Background, schedule: Schedule, pass: fn(App) -> F)
where
    F: Future<Output = Result<Report, ApiError>> + Send + 'static,
{
    let app = app.clone();
    background.spawn_restarting(schedule.name, move || run(app.clone(), schedule, pass));
}

async fn run<F>(app: App, schedule: Schedule, pass: fn(App) -> F)
where
    F: Future<Output = Result<Report, ApiError>>,
{
    let Schedule { name, period, at_start } = schedule;
    if !at_start && !wait(&app.stopping, period).await {
        return;
    }
    loop {
        let (at, started) = (app.now(), Instant::now());
        failpoints::point("pass.run:before");
        let outcome = pass(app.clone()).await;
        match &outcome {
            Ok(report) if report.is_empty() => {}
            Ok(report) => tracing::info!(pass = name, %report, "a background pass made changes"),
            Err(error) => tracing::warn!(pass = name, cause = chain(error), "a background pass failed"),
        }
        if outcome.is_ok() {
            app.background.recovered(name);
        }
        app.metrics.pass(name, started.elapsed(), outcome.is_ok());
        app.passes.record(name, at, started.elapsed(), outcome.as_ref().map_err(|error| chain(error)));
        if !wait(&app.stopping, period).await {
            return;
        }
    }
}

/// Waits for a period. Returns false if the application stops meanwhile.
async fn wait(stopping: &CancellationToken, period: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(period) => true,
        () = stopping.cancelled() => false,
    }
}
