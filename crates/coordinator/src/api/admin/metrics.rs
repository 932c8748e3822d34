//! `GET /metrics`: the metrics of this coordinator, for Prometheus.

use axum::extract::State;

use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::error::ApiError;
use crate::metrics::scrape::Exposition;

pub(super) fn routes() -> Routes {
    Routes::new().get("/metrics", Access::Admin, metrics, "Get metrics in the format of Prometheus")
}

/// For administrators, because the metrics show the activity of all users. A personal token with the scope `admin`
/// suffices.
async fn metrics(State(app): State<App>, AdminCaller(_): AdminCaller) -> Result<Exposition, ApiError> {
    Exposition::of(&app).await
}
