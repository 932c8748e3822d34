//! Taking tasks back from workers that are gone.

use async_trait::async_trait;
use mitosis_domain::crash;
use mitosis_domain::ids::WorkerId;
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::row::{Columns, Run};
use super::workers::remove;
use crate::Fault;
use crate::ops::reaper::{ReapReason, Reaped, Reaper};
use crate::ops::workers::Departure;

#[async_trait]
impl Reaper for SqliteStore {
    async fn reap(&self, now: Timestamp, limit: u32) -> Result<Vec<Reaped>, Fault> {
        self.write(move |db| reap(db, now, limit)).await
    }

    async fn extend_all_leases(&self, now: Timestamp) -> Result<u64, Fault> {
        self.write(move |db| Ok(db.run(EXTEND_ALL, [now.unix_micros()])? as u64)).await
    }
}

/// Never shortens a lease.
const EXTEND_ALL: &str = "UPDATE worker_session SET lease_until = max(lease_until, ?1 + lease)";

/// A lease is over at its last instant.
const SILENT_WORKERS: &str = "
    SELECT w.id, w.uuid, w.token_until
    FROM worker_session s JOIN worker w ON w.id = s.worker_id
    WHERE s.lease_until <= ?1
    ORDER BY s.lease_until, w.id LIMIT ?2";

/// Only while the command has not been reported to have ended: after that the worker is at work on the
/// artifacts.
const OVERDUE_WORKERS: &str = "
    SELECT w.id, w.uuid, w.token_until
    FROM lease l JOIN worker w ON w.id = l.worker_id
    WHERE l.reported_end IS NULL AND l.overdue_at <= ?1
    GROUP BY w.id ORDER BY min(l.overdue_at), w.id LIMIT ?2";

fn reap(db: &Connection, now: Timestamp, limit: u32) -> Result<Vec<Reaped>, Fault> {
    let mut reaped = Vec::new();
    for (gone, reason) in [(SILENT_WORKERS, ReapReason::Silent), (OVERDUE_WORKERS, ReapReason::Overdue)] {
        let room = i64::from(limit) - i64::try_from(reaped.len()).expect("not more than the limit");
        let gone: Vec<_> = db.all(gone, params![now.unix_micros(), room], |row| {
            Ok((WorkerId(row.value("id")?), row.uuid("uuid")?, row.optional_time("token_until")?))
        })?;
        for (id, worker, token_until) in gone {
            let departure = Departure::of_lifetime(token_until, now);
            crash::point("reap.session_delete:before");
            let returned = remove::remove(db, id, worker, departure, now)?;
            crash::point("reap.session_delete:after");
            reaped.push(Reaped { worker, reason, returned });
        }
    }
    Ok(reaped)
}
