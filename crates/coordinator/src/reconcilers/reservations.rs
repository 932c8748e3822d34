//! Keeps workers free for tasks that smaller ones would starve ([`mitosis_domain::reservation`]).

use std::time::Duration;

use super::Report;
use crate::app::App;
use crate::error::ApiError;

/// How often the pass runs. As long as no task waits that requests anything but the default, it reads two indices.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// Replaces the reservations by those that are due.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    app.publish(app.store.reserve_workers(app.now()).await?);
    Ok(Report::default())
}
