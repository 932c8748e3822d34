//! Corrects how many slots each group holds, so that groups get equal slot time on several coordinators, too.

use std::time::Duration;

use super::Report;
use crate::app::App;
use crate::error::ApiError;

/// How often the pass runs. It reads every lease once.
pub(super) const PERIOD: Duration = Duration::from_secs(2);

/// Counts the running tasks of each group.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    app.store.correct_shares(app.now()).await?;
    Ok(Report::default())
}
