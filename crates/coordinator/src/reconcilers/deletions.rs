//! Goes on with deletions of groups that were cut off between two portions, by a crash or an outage.

use std::time::Duration;

use mitosis_store::StoreError;

use crate::api::cancel_the_rest;
use crate::app::App;
use crate::error::chain;

/// How often to look.
const PERIOD: Duration = Duration::from_mins(1);
/// Most groups of one pass.
const AT_ONCE: u32 = 100;

/// Runs the pass at once and then again and again, until the application stops.
pub(super) async fn run(app: App) {
    loop {
        match pass(&app).await {
            Ok(0) => {}
            Ok(cancelled) => tracing::info!(cancelled, "cancelled tasks that waited in deleted groups"),
            Err(error) => tracing::warn!(cause = chain(&error), "could not end what waits in deleted groups"),
        }
        if !super::pause(&app, PERIOD).await {
            return;
        }
    }
}

async fn pass(app: &App) -> Result<usize, StoreError> {
    let mut cancelled = 0;
    for group in app.store.unfinished_deletions(AT_ONCE).await? {
        cancelled += cancel_the_rest(app, group).await?;
    }
    Ok(cancelled)
}
