//! Signs of life.

use std::time::Duration;

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::Timestamp;
use rusqlite::Connection;

use super::super::row::Run;
use crate::Fault;

const RENEW: &str = "
    UPDATE worker_session SET last_heartbeat = ?2, lease_until = ?3 WHERE worker_id = ?1";

/// Renews each lease; answers who has none.
pub(super) fn renew(
    db: &Connection,
    workers: &[WorkerId],
    lease: Duration,
    now: Timestamp,
) -> Result<Vec<WorkerId>, Fault> {
    let (seen, until) = (now.unix_micros(), (now + lease).unix_micros());
    let mut gone = Vec::new();
    for worker in workers {
        if db.run(RENEW, [worker.0, seen, until])? == 0 {
            gone.push(*worker);
        }
    }
    Ok(gone)
}
