//! Renewal of leases by heartbeats.

use std::collections::HashSet;

use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::{LeaseTerms, Moment};

use crate::StoreError;
use crate::db::{Db, only};
use crate::enum_codes::micros;

/// Renewals need not survive a crash of the database, since leases are extended by the length of the outage.
const ASYNCHRONOUS_COMMIT: &str = "SET LOCAL synchronous_commit = off";

/// Locks in the order of ids, so that two batches can't deadlock.
const RENEW_ALL: &str = "
    WITH alive AS (
        SELECT worker_id FROM worker_session WHERE worker_id = ANY($1) ORDER BY worker_id FOR UPDATE)
    UPDATE worker_session
    SET last_heartbeat = $3, lease = sign.lease, lease_until = $5::bigint + sign.lease,
        missed_after = sign.missed_after
    FROM alive JOIN unnest($1::bigint[], $2::bigint[], $4::bigint[]) AS sign (worker_id, lease, missed_after)
        USING (worker_id)
    WHERE worker_session.worker_id = alive.worker_id
    RETURNING worker_session.worker_id";

const RENEW_ONE: &str = "
    UPDATE worker_session SET last_heartbeat = ?2, lease = ?3, lease_until = ?5 + ?3, missed_after = ?4
    WHERE worker_id = ?1";

/// Renews leases; returns the workers that are gone.
pub(super) async fn renew(
    db: Db<'_>,
    heartbeats: &[(WorkerId, LeaseTerms)],
    at: Moment,
) -> Result<Vec<WorkerId>, StoreError> {
    let (now, lease) = (at.now.unix_micros(), at.lease.micros());
    let mut alive: HashSet<i64> = HashSet::with_capacity(heartbeats.len());
    match db {
        Db::Postgres(db) => {
            db.run(ASYNCHRONOUS_COMMIT, &[]).await?;
            let ids: Vec<i64> = heartbeats.iter().map(|(worker, _)| worker.0).collect();
            let leases: Vec<i64> = heartbeats.iter().map(|(_, terms)| micros(terms.lease)).collect();
            let missed: Vec<i64> = heartbeats.iter().map(|(_, terms)| micros(terms.missed_after)).collect();
            alive = db.all(RENEW_ALL, &[&ids, &leases, &now, &missed, &lease], only).await?;
        }
        Db::Sqlite(db) => {
            for (worker, terms) in heartbeats {
                let params = [worker.0, now, micros(terms.lease), micros(terms.missed_after), lease];
                if db.run(RENEW_ONE, params)? > 0 {
                    alive.insert(worker.0);
                }
            }
        }
    }
    Ok(heartbeats.iter().map(|(worker, _)| *worker).filter(|worker| !alive.contains(&worker.0)).collect())
}
