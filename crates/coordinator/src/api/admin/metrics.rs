//! `GET /metrics`: the counters of this coordinator, for Prometheus.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::error::{ApiError, Refusal};
use crate::metrics;

/// For administrators: the counters show how much others do. A personal token with the scope `admin` is enough.
pub(super) async fn metrics(
    State(app): State<App>,
    AdminCaller(_): AdminCaller,
) -> Result<Response, ApiError> {
    let text = app.metrics.encode(&app.background.statuses(), app.leases.missed());
    let text =
        text.map_err(|error| Refusal::new(mitosis_protocol::ErrorCode::Internal, error.to_string()))?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
