//! Monitoring of leases, and requeuing of the tasks of lost workers.

use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::failpoints;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::{LeaseClock, LeaseTime, Moment};
use mitosis_protocol::Timestamp;
use rusqlite::params;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{SqliteStore, finish};
use crate::StoreError;
use crate::db::{only, read_count};
use crate::ops::reaper::{LeaseObservation, LeaseStatus, ReapReason, Reaped, Reaper};
use crate::ops::workers::{Departure, Fate};
use crate::ops::{Changed, Effects};
use crate::shared::dispatch::lease::{self, Lease};
use crate::shared::dispatch::requeue::requeue;
use crate::shared::workers::remove::remove;
use crate::sqlite::connection::Connection;

/// The interval between writes of the lease clock. Time that was not written before a crash doesn't count as
/// monitored.
const WRITE_INTERVAL: Duration = Duration::from_secs(30);

/// The lease clock in memory. This process is the only one, so it reads the clock from the database once, and
/// writes only what has to survive it.
#[derive(Debug, Default)]
pub(super) struct SharedLeaseClock(Mutex<Option<StoredClock>>);

#[derive(Debug, Clone, Copy)]
struct StoredClock {
    clock: LeaseClock,
    /// When the clock was last written.
    at: Timestamp,
}

#[async_trait]
impl Reaper for SqliteStore {
    async fn monitor_leases(&self, look: LeaseObservation) -> Result<LeaseStatus, StoreError> {
        let now = match look.now {
            Some(now) => now,
            None => self.read(|db| db.one(WALL_CLOCK, [], |row| row.time("now"))).await?,
        };
        let mut watched = self.watched.0.lock().await;
        let noted = match *watched {
            Some(noted) => noted,
            None => self.read(read_clock).await?,
        };
        let clock = noted.clock.observe(now, look.standstill, look.at_most);
        let skipped = clock.lag - noted.clock.lag;
        let is_old = noted.at + WRITE_INTERVAL <= now || now + WRITE_INTERVAL <= noted.at;
        let at = if skipped != 0 || is_old {
            self.write_urgent(move |db| set_clock(db, clock)).await?;
            now
        } else {
            noted.at
        };
        *watched = Some(StoredClock { clock, at });
        drop(watched);
        let (missed, due) = self.read(move |db| due(db, clock.time(now))).await?;
        Ok(LeaseStatus { now, clock, skipped, missed, due })
    }

    async fn reap(&self, at: Moment, limit: u32) -> Result<Changed<Vec<Reaped>>, StoreError> {
        self.write(move |db| reap(db, at, limit)).await
    }
}

const WALL_CLOCK: &str = "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS now";

const LEASE_CLOCK: &str = "SELECT seen_at, lag, settled_at FROM lease_clock WHERE id = 1";

fn read_clock(db: &Connection) -> Result<StoredClock, StoreError> {
    db.one(LEASE_CLOCK, [], |row| {
        let clock = LeaseClock {
            seen_at: row.time("seen_at")?,
            lag: row.value("lag")?,
            settled_at: LeaseTime::from_micros(row.value("settled_at")?),
        };
        Ok(StoredClock { clock, at: clock.seen_at })
    })
}

const SET_CLOCK: &str = "UPDATE lease_clock SET seen_at = ?1, lag = ?2, settled_at = ?3 WHERE id = 1";

fn set_clock(db: &Connection, clock: LeaseClock) -> Result<(), StoreError> {
    db.run_one(SET_CLOCK, [clock.seen_at.unix_micros(), clock.lag, clock.settled_at.micros()])
}

const MISSED: &str = "
    SELECT count(*) FROM worker_session WHERE lease_until - lease + missed_after <= ?1";

const DUE: &str = "
    SELECT EXISTS (SELECT 1 FROM worker_session WHERE lease_until <= ?1)
        OR EXISTS (SELECT 1 FROM lease WHERE reported_end IS NULL AND overdue_at <= ?1)";

/// The number of missed workers, and whether there may be something to reap. Limits of tasks only matter if
/// their worker is missed.
fn due(db: &Connection, time: LeaseTime) -> Result<(u64, bool), StoreError> {
    let missed = db.one(MISSED, [time.micros()], read_count)?;
    let due = db.one(DUE, [time.micros()], only)?;
    Ok((missed, due || missed > 0))
}

/// Workers whose lease has expired; a lease includes its last instant.
const SILENT_WORKERS: &str = "
    SELECT w.id, w.uuid, w.token_until
    FROM worker_session s JOIN worker w ON w.id = s.worker_id
    WHERE s.lease_until <= ?1
    ORDER BY s.lease_until, w.id LIMIT ?2";

/// Workers with an overdue task. It counts only until the end of the command was reported, since the worker
/// uploads the artifacts after that.
const OVERDUE_WORKERS: &str = "
    SELECT w.id, w.uuid, w.token_until
    FROM lease l JOIN worker w ON w.id = l.worker_id
    WHERE l.reported_end IS NULL AND l.overdue_at <= ?1
    GROUP BY w.id ORDER BY min(l.overdue_at), w.id LIMIT ?2";

/// Missed workers with a task beyond its own limit.
const WORKERS_PAST_A_LIMIT: &str = "
    SELECT w.id, w.uuid, w.token_until
    FROM worker_session s JOIN worker w ON w.id = s.worker_id
    WHERE s.lease_until - s.lease + s.missed_after <= ?1
      AND EXISTS (SELECT 1 FROM lease l
                  WHERE l.worker_id = s.worker_id AND l.lost_after IS NOT NULL
                    AND s.lease_until - s.lease + max(min(l.lost_after, s.lease), s.missed_after) <= ?1)
    ORDER BY s.lease_until, w.id LIMIT ?2";

const PAST_THEIR_LIMIT: &str = "
    SELECT l.task_id, l.worker_id, l.epoch, l.token, l.losses, l.claimed_at, l.reported_end
    FROM lease l CROSS JOIN worker_session s ON s.worker_id = l.worker_id
    WHERE l.worker_id = ?1 AND l.lost_after IS NOT NULL
      AND s.lease_until - s.lease + max(min(l.lost_after, s.lease), s.missed_after) <= ?2
    ORDER BY l.claimed_at, l.task_id";

fn reap(db: &Connection, at: Moment, limit: u32) -> Result<Changed<Vec<Reaped>>, StoreError> {
    let (mut reaped, mut effects) = (Vec::new(), Effects::default());
    for (gone, reason) in [
        (SILENT_WORKERS, ReapReason::Silent),
        (OVERDUE_WORKERS, ReapReason::Overdue),
        (WORKERS_PAST_A_LIMIT, ReapReason::TaskLimit),
    ] {
        let room = i64::from(limit) - i64::try_from(reaped.len()).expect("at most the limit");
        let gone: Vec<_> = db.all(gone, params![at.lease.micros(), room], |row| {
            Ok((WorkerId(row.value("id")?), row.value("uuid")?, row.optional_time("token_until")?))
        })?;
        for (id, worker, token_until) in gone {
            let returned = effects.keep(match reason {
                ReapReason::Silent | ReapReason::Overdue => {
                    let departure = Departure::of_lifetime(token_until, at.now);
                    failpoints::point("reap.session_delete:before");
                    let removed = finish(remove(db.into(), id, worker, departure, Fate::WorkerLost, at.now))?;
                    failpoints::point("reap.session_delete:after");
                    removed
                }
                ReapReason::TaskLimit => reap_attempts(db, id, worker, at)?,
            });
            reaped.push(Reaped { worker, reason, returned });
        }
    }
    Ok(effects.with(reaped))
}

/// Takes the attempts beyond the limits of their tasks from a worker.
fn reap_attempts(
    db: &Connection,
    worker: WorkerId,
    uuid: Uuid,
    at: Moment,
) -> Result<Changed<Vec<Uuid>>, StoreError> {
    let past: Vec<Lease> = db.all(PAST_THEIR_LIMIT, [worker.0, at.lease.micros()], lease::read)?;
    let mut effects = Effects { workers: vec![uuid], ..Effects::default() };
    let mut returned = Vec::with_capacity(past.len());
    for lease in &past {
        returned.push(effects.keep(finish(requeue(db.into(), lease, Fate::WorkerLost, at.now))?));
    }
    Ok(effects.with(returned))
}
