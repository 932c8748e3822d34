//! Taking tasks back from workers that are gone.

use async_trait::async_trait;
use mitosis_domain::crash;
use mitosis_domain::ids::WorkerId;
use mitosis_protocol::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::row::{self, Columns, Db};
use super::workers::remove::remove;
use super::{PostgresStore, write};
use crate::Fault;
use crate::ops::reaper::{ReapReason, Reaped, Reaper};
use crate::ops::workers::Departure;

#[async_trait]
impl Reaper for PostgresStore {
    /// One worker per transaction: none waits for the tasks of another. The first fault ends the round;
    /// what was done before it is told, and it is met again in the next round.
    async fn reap(&self, now: Timestamp, limit: u32) -> Result<Vec<Reaped>, Fault> {
        let mut reaped = Vec::new();
        let params: row::Params<'_> = &[&now.unix_micros(), &i64::from(limit)];
        let candidates: Vec<(WorkerId, ReapReason)> =
            row::all(&self.client().await?, CANDIDATES, params, read_candidate).await?;
        for (worker, reason) in candidates {
            match write!(self, tx => reap(tx, worker, reason, now)) {
                Ok(one) => reaped.extend(one),
                Err(fault) if reaped.is_empty() => return Err(fault),
                Err(_) => return Ok(reaped),
            }
        }
        Ok(reaped)
    }

    async fn extend_all_leases(&self, now: Timestamp) -> Result<u64, Fault> {
        row::run(&self.client().await?, EXTEND_ALL, &[&now.unix_micros()]).await
    }
}

/// Never shortens a lease.
const EXTEND_ALL: &str = "UPDATE worker_session SET lease_until = greatest(lease_until, $1::bigint + lease)";

/// Asked every second by every coordinator, so it is one statement. A lease is over at its last instant; a
/// task is overdue only while the command has not been reported to have ended: after that the worker is at
/// work on the artifacts.
const CANDIDATES: &str = "
    (SELECT worker_id, true AS silent, lease_until AS since FROM worker_session
     WHERE lease_until <= $1
     ORDER BY lease_until, worker_id LIMIT $2)
    UNION ALL
    (SELECT worker_id, false, min(overdue_at) FROM lease
     WHERE reported_end IS NULL AND overdue_at <= $1
       -- Once is enough.
       AND worker_id NOT IN (SELECT worker_id FROM worker_session WHERE lease_until <= $1)
     GROUP BY worker_id ORDER BY min(overdue_at), worker_id LIMIT $2)
    ORDER BY silent DESC, since, worker_id
    LIMIT $2";

fn read_candidate(row: &Row) -> Result<(WorkerId, ReapReason), Fault> {
    let reason = if row.value("silent")? { ReapReason::Silent } else { ReapReason::Overdue };
    Ok((WorkerId(row.value("worker_id")?), reason))
}

/// Waits for whoever is at work on the worker, or is just hearing from it.
const LOCK: &str = "
    SELECT w.uuid, w.token_until FROM worker w JOIN worker_session s ON s.worker_id = w.id
    WHERE w.id = $1 FOR UPDATE";

const IS_SILENT: &str = "
    SELECT EXISTS (SELECT 1 FROM worker_session WHERE worker_id = $1 AND lease_until <= $2)";

const IS_OVERDUE: &str = "
    SELECT EXISTS (
        SELECT 1 FROM lease WHERE worker_id = $1 AND reported_end IS NULL AND overdue_at <= $2)";

/// Removes the worker if what made it a candidate is still so, now that nobody can change it.
async fn reap(
    tx: &impl Db,
    worker: WorkerId,
    reason: ReapReason,
    now: Timestamp,
) -> Result<Option<Reaped>, Fault> {
    let found: Option<(Uuid, Option<Timestamp>)> = row::optional(tx, LOCK, &[&worker.0], |row| {
        Ok((row.value("uuid")?, row.optional_time("token_until")?))
    })
    .await?;
    let Some((uuid, token_until)) = found else { return Ok(None) };
    let still_so = match reason {
        ReapReason::Silent => IS_SILENT,
        ReapReason::Overdue => IS_OVERDUE,
    };
    if !row::one(tx, still_so, &[&worker.0, &now.unix_micros()], row::only).await? {
        return Ok(None);
    }
    let departure = Departure::of_lifetime(token_until, now);
    crash::point("reap.session_delete:before");
    let returned = remove(tx, worker, uuid, departure, now).await?;
    crash::point("reap.session_delete:after");
    Ok(Some(Reaped { worker: uuid, reason, returned }))
}
