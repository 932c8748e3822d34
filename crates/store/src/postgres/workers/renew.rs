//! Signs of life.

use std::collections::HashSet;

use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::{LeaseTerms, Moment};

use super::super::row::{self, Db};
use crate::StoreError;
use crate::code::micros;

/// After a crash of the database, the outage and some time more do not count.
const WITHOUT_WAITING_FOR_THE_DISK: &str = "SET LOCAL synchronous_commit = off";

/// In order, so that two batches never wait for each other in a circle.
const RENEW: &str = "
    WITH alive AS (
        SELECT worker_id FROM worker_session WHERE worker_id = ANY($1) ORDER BY worker_id FOR UPDATE)
    UPDATE worker_session
    SET last_heartbeat = $3, lease = sign.lease, lease_until = $5::bigint + sign.lease,
        missed_after = sign.missed_after
    FROM alive JOIN unnest($1::bigint[], $2::bigint[], $4::bigint[]) AS sign (worker_id, lease, missed_after)
        USING (worker_id)
    WHERE worker_session.worker_id = alive.worker_id
    RETURNING worker_session.worker_id";

/// Renews each lease; answers who has none.
pub(super) async fn renew(
    tx: &impl Db,
    signs: &[(WorkerId, LeaseTerms)],
    at: Moment,
) -> Result<Vec<WorkerId>, StoreError> {
    row::run(tx, WITHOUT_WAITING_FOR_THE_DISK, &[]).await?;
    let ids: Vec<i64> = signs.iter().map(|(worker, _)| worker.0).collect();
    let leases: Vec<i64> = signs.iter().map(|(_, terms)| micros(terms.lease)).collect();
    let missed: Vec<i64> = signs.iter().map(|(_, terms)| micros(terms.missed_after)).collect();
    let params: row::Params<'_> = &[&ids, &leases, &at.now.unix_micros(), &missed, &at.lease.micros()];
    let alive: HashSet<i64> = row::all(tx, RENEW, params, row::only).await?;
    Ok(signs.iter().map(|(worker, _)| *worker).filter(|worker| !alive.contains(&worker.0)).collect())
}
