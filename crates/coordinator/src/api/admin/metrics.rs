//! `GET /metrics`: the counters of this coordinator, for Prometheus.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use crate::api::openapi::signature::{Reply, Signature};
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::error::{ApiError, Refusal};
use crate::metrics;

pub(super) fn routes() -> Routes {
    Routes::new().get("/metrics", Asks::Admin, metrics, "Counters of the coordinator, for Prometheus")
}

/// For administrators: the counters show how much others do. A personal token with the scope `admin` is enough.
async fn metrics(State(app): State<App>, AdminCaller(_): AdminCaller) -> Result<Exposition, ApiError> {
    let text = app.metrics.encode(&app.background.statuses(), app.leases.missed());
    let text =
        text.map_err(|error| Refusal::new(mitosis_protocol::ErrorCode::Internal, error.to_string()))?;
    Ok(Exposition(text))
}

/// Metrics in the text format of OpenMetrics.
struct Exposition(String);

impl IntoResponse for Exposition {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], self.0).into_response()
    }
}

impl Reply for Exposition {
    fn describe(signature: &mut Signature) {
        signature.reply_text("application/openmetrics-text");
    }
}
