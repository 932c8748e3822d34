//! `POST /workers/heartbeat`: a sign of life.

use std::time::Duration;

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use mitosis_domain::lease::LeaseTerms;
use mitosis_protocol::Uuid;

use crate::api::leases::{lease_headers, terms};
use crate::api::reply::Null;
use crate::app::App;
use crate::auth::worker::{IsOurs, WorkerCaller, WorkerToken, not_registered};
use crate::dispatch::renewals::Renewal;
use crate::error::{ApiError, chain};

/// How long a published worker waits for an answer that it may have without the database.
const GLANCE: Duration = Duration::from_secs(5);

/// The lease runs anew from here. 401 when the worker was removed meanwhile.
///
/// A published worker ends its task and exits at any other answer. So while the database is away it gets
/// the usual one, and keeps its lease by the extension that follows every outage.
pub(super) async fn heartbeat(
    State(app): State<App>,
    WorkerToken(uuid): WorkerToken,
    IsOurs(is_ours): IsOurs,
) -> Result<Response, ApiError> {
    let renewed = match is_ours {
        true => Ok(renew(&app, uuid).await),
        false => tokio::time::timeout(GLANCE, renew(&app, uuid)).await,
    };
    let Ok(renewed) = renewed else {
        tracing::warn!(worker = %uuid, "failed to renew a lease: the database does not answer");
        return Ok(Null.into_response());
    };
    match renewed {
        Ok(terms) => Ok((AppendHeaders(lease_headers(terms)), Null).into_response()),
        Err(error) if error.is_outage() && !is_ours => {
            tracing::warn!(cause = chain(&error), worker = %uuid, "failed to renew a lease");
            Ok(Null.into_response())
        }
        Err(error) => Err(error),
    }
}

/// How long the worker may be silent now.
async fn renew(app: &App, uuid: Uuid) -> Result<LeaseTerms, ApiError> {
    let worker = app.retry.transient(|| app.store.worker(uuid)).await?;
    let WorkerCaller(worker) = WorkerCaller::of(app, uuid, worker).await?;
    let terms = terms(app, worker.slots.is_some(), worker.lost_after);
    match app.renewals.renew(worker.id, terms).await? {
        Renewal::Renewed => Ok(terms),
        Renewal::Gone => Err(not_registered(app, uuid).await),
    }
}
