//! Signs of life.

use std::collections::HashSet;
use std::time::Duration;

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::Timestamp;

use super::super::row::{self, Db};
use crate::Fault;

/// After a crash of the database every worker is given a new lease anyway.
const WITHOUT_WAITING_FOR_THE_DISK: &str = "SET LOCAL synchronous_commit = off";

/// In order, so that two batches never wait for each other in a circle.
const RENEW: &str = "
    WITH alive AS (
        SELECT worker_id FROM worker_session WHERE worker_id = ANY($1) ORDER BY worker_id FOR UPDATE)
    UPDATE worker_session SET last_heartbeat = $2, lease_until = $3
    FROM alive WHERE worker_session.worker_id = alive.worker_id
    RETURNING worker_session.worker_id";

/// Renews each lease; answers who has none.
pub(super) async fn renew(
    tx: &impl Db,
    workers: &[WorkerId],
    lease: Duration,
    now: Timestamp,
) -> Result<Vec<WorkerId>, Fault> {
    row::run(tx, WITHOUT_WAITING_FOR_THE_DISK, &[]).await?;
    let ids: Vec<i64> = workers.iter().map(|worker| worker.0).collect();
    let params: row::Params<'_> = &[&ids, &now.unix_micros(), &(now + lease).unix_micros()];
    let alive: HashSet<i64> = row::all(tx, RENEW, params, row::only).await?;
    Ok(workers.iter().copied().filter(|worker| !alive.contains(&worker.0)).collect())
}
