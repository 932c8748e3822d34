//! `POST /workers/heartbeat`: a sign of life.

use std::time::Duration;

use axum::extract::State;
use mitosis_domain::lease::LeaseTerms;
use mitosis_protocol::Uuid;

use crate::api::leases::{WithLease, terms};
use crate::api::reply::Null;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::worker::{IsOurs, WorkerCaller, WorkerToken, not_registered};
use crate::dispatch::renewals::Renewal;
use crate::error::{ApiError, chain};

/// How long a published worker waits for an answer that it may have without the database.
const GLANCE: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Routes {
    Routes::new().post("/workers/heartbeat", Asks::Worker, heartbeat, "Give a sign of life")
}

/// The lease runs anew from here. 401 when the worker was removed meanwhile.
///
/// A published worker ends its task and exits at any other answer. So while the database is away it gets
/// the usual one, and keeps its lease by the extension that follows every outage.
async fn heartbeat(
    State(app): State<App>,
    WorkerToken(uuid): WorkerToken,
    IsOurs(is_ours): IsOurs,
) -> Result<WithLease<Null>, ApiError> {
    let renewed = match is_ours {
        true => Ok(renew(&app, uuid).await),
        false => tokio::time::timeout(GLANCE, renew(&app, uuid)).await,
    };
    let Ok(renewed) = renewed else {
        tracing::warn!(worker = %uuid, "failed to renew a lease: the database does not answer");
        return Ok(WithLease(None, Null));
    };
    match renewed {
        Ok(terms) => Ok(WithLease(Some(terms), Null)),
        Err(error) if error.is_outage() && !is_ours => {
            tracing::warn!(cause = chain(&error), worker = %uuid, "failed to renew a lease");
            Ok(WithLease(None, Null))
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
