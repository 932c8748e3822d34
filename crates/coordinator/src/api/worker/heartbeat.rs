//! `POST /workers/heartbeat`: a sign of life.

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse};
use mitosis_protocol::ErrorCode;

use super::{lease, lease_header};
use crate::api::reply::Null;
use crate::app::App;
use crate::auth::caller::invalid_token;
use crate::auth::worker::WorkerCaller;
use crate::dispatch::renewals::Renewal;
use crate::error::{ApiError, Refusal, chain};

/// The lease runs anew from here. 401 when the worker was removed meanwhile.
pub(super) async fn heartbeat(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
) -> Result<impl IntoResponse, ApiError> {
    let lease = lease(&app, worker.slots.is_some());
    match app.renewals.renew(worker.id, lease).await {
        Ok(Renewal::Renewed) => Ok((AppendHeaders([lease_header(lease)]), Null)),
        Ok(Renewal::Gone) => Err(invalid_token().into()),
        Err(fault) => {
            tracing::warn!(cause = chain(&*fault), "a sign of life could not be written");
            Err(Refusal::new(ErrorCode::Unavailable, "the database can't be reached").into())
        }
    }
}
