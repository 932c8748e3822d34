//! `GET /metrics`: the metrics of this coordinator, for Prometheus.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use crate::api::openapi::signature::{Reply, Signature};
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::error::{ApiError, Rejection};
use crate::metrics;

pub(super) fn routes() -> Routes {
    Routes::new().get("/metrics", Access::Admin, metrics, "Get metrics in the format of Prometheus")
}

/// For administrators, because the metrics show the activity of all users. A personal token with the scope `admin`
/// suffices.
async fn metrics(State(app): State<App>, AdminCaller(_): AdminCaller) -> Result<Exposition, ApiError> {
    let text = app.metrics.encode(&app.background.statuses(), app.cluster_clock.missed());
    let text =
        text.map_err(|error| Rejection::new(mitosis_protocol::ErrorCode::Internal, error.to_string()))?;
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
