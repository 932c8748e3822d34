//! `POST /workers/heartbeat`: renews the lease of a worker.

use std::time::Duration;

use axum::extract::State;
use mitosis_domain::lease::LeaseTerms;
use mitosis_protocol::Uuid;

use crate::api::leases::{WithLease, terms};
use crate::api::reply::Null;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::worker::{WorkerCaller, WorkerProgram, WorkerToken, not_registered};
use crate::dispatch::renewals::Renewal;
use crate::error::{ApiError, chain};

/// How long the database may take for a renewal of a legacy worker.
const LEGACY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Routes {
    Routes::new().post("/workers/heartbeat", Access::Worker, heartbeat, "Send a heartbeat")
}

/// Renews the lease from now on. Replies 401 if the worker was removed.
///
/// A legacy worker ends its task and exits at any other reply. During an outage of the database it therefore gets the usual
/// one, and keeps its lease because lease time stops during an outage.
async fn heartbeat(
    State(app): State<App>,
    WorkerToken(uuid): WorkerToken,
    program: WorkerProgram,
) -> Result<WithLease<Null>, ApiError> {
    let renewed = match program {
        WorkerProgram::Native => Ok(renew(&app, uuid).await),
        WorkerProgram::Legacy => tokio::time::timeout(LEGACY_TIMEOUT, renew(&app, uuid)).await,
    };
    let Ok(renewed) = renewed else {
        tracing::warn!(worker = %uuid, "failed to renew a lease: the database does not respond");
        return Ok(WithLease(None, Null));
    };
    match renewed {
        Ok(terms) => Ok(WithLease(Some(terms), Null)),
        Err(error) if error.is_outage() && program == WorkerProgram::Legacy => {
            tracing::warn!(cause = chain(&error), worker = %uuid, "failed to renew a lease");
            Ok(WithLease(None, Null))
        }
        Err(error) => Err(error),
    }
}

/// Renews the lease, and returns its terms.
async fn renew(app: &App, uuid: Uuid) -> Result<LeaseTerms, ApiError> {
    let worker = app.retry.transient(|| app.store.worker(uuid)).await?;
    let WorkerCaller(worker) = WorkerCaller::of(app, uuid, worker).await?;
    let terms = terms(app, worker.kind(), worker.lost_after);
    match app.renewals.renew(worker.id, terms).await? {
        Renewal::Renewed => Ok(terms),
        Renewal::Gone => Err(not_registered(app, uuid).await),
    }
}
