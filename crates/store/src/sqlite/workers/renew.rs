//! Signs of life.

use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::{LeaseTerms, Moment};
use rusqlite::Connection;

use super::super::row::Run;
use crate::StoreError;
use crate::code::micros;

const RENEW: &str = "
    UPDATE worker_session SET last_heartbeat = ?2, lease = ?3, lease_until = ?5 + ?3, missed_after = ?4
    WHERE worker_id = ?1";

/// Renews each lease; answers who has none.
pub(super) fn renew(
    db: &Connection,
    signs: &[(WorkerId, LeaseTerms)],
    at: Moment,
) -> Result<Vec<WorkerId>, StoreError> {
    let mut gone = Vec::new();
    for (worker, terms) in signs {
        let (lease, missed_after) = (micros(terms.lease), micros(terms.missed_after));
        if db.run(RENEW, [worker.0, at.now.unix_micros(), lease, missed_after, at.lease.micros()])? == 0 {
            gone.push(*worker);
        }
    }
    Ok(gone)
}
