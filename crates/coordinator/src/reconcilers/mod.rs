//! Passes over the truth that repair what time and failures leave behind.
//!
//! A pass takes no input, can be run at any time by any coordinator and twice at once, and answers with
//! a report. A pass that fails is logged and tried again; it never ends the loop.

mod deletions;
mod garbage;
mod lost_workers;
mod retention;
mod uploads;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;

/// Starts every pass; all end when the application stops.
pub(crate) fn start(app: &App, tasks: &TaskTracker) {
    tasks.spawn(lost_workers::run(app.clone()));
    tasks.spawn(garbage::run(app.clone()));
    tasks.spawn(uploads::run(app.clone()));
    tasks.spawn(retention::run(app.clone()));
    tasks.spawn(deletions::run(app.clone()));
}

/// Waits for a while; false when the application stops meanwhile.
async fn pause(app: &App, period: Duration) -> bool {
    wait(&app.stopping, period).await
}

/// The same.
async fn wait(stopping: &CancellationToken, period: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(period) => true,
        () = stopping.cancelled() => false,
    }
}
