//! Continues deletions of groups that a crash or an outage has interrupted.

use std::time::Duration;

use super::Report;
use crate::api::cancel_remaining;
use crate::app::App;
use crate::error::ApiError;

/// How often the pass runs.
pub(super) const PERIOD: Duration = Duration::from_mins(1);
/// The largest number of groups in one pass.
const BATCH_SIZE: u32 = 100;

/// Cancels waiting tasks of deleted groups.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    let mut cancelled = 0;
    for group in app.store.unfinished_deletions(BATCH_SIZE).await? {
        cancelled += cancel_remaining(&app, group).await?;
    }
    Ok(Report::new([("cancelled tasks", cancelled as u64)]))
}
