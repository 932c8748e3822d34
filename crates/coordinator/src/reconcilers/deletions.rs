//! Goes on with deletions of groups that were cut off between two portions, by a crash or an outage.

use std::time::Duration;

use super::Report;
use crate::api::cancel_the_rest;
use crate::app::App;
use crate::error::ApiError;

/// How often to look.
pub(super) const PERIOD: Duration = Duration::from_mins(1);
/// Most groups of one pass.
const BATCH_SIZE: u32 = 100;

/// Cancels tasks that wait in deleted groups.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    let mut cancelled = 0;
    for group in app.store.unfinished_deletions(BATCH_SIZE).await? {
        cancelled += cancel_the_rest(&app, group).await?;
    }
    Ok(Report::new([("cancelled tasks", cancelled as u64)]))
}
