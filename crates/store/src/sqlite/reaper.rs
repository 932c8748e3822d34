//! Watching over leases, and taking tasks back from workers that are gone.

use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::crash;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::{LeaseClock, LeaseTime, Moment};
use mitosis_protocol::Timestamp;
use rusqlite::params;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{SqliteStore, finish};
use crate::StoreError;
use crate::db::{only, read_count};
use crate::ops::reaper::{LeaseLook, LeaseWatch, ReapReason, Reaped, Reaper};
use crate::ops::workers::{Departure, Fate};
use crate::shared::dispatch::lease::{self, Lease};
use crate::shared::dispatch::requeue::requeue;
use crate::shared::workers::remove::remove;
use crate::sqlite::connection::Connection;

/// Time between two notes of the last look. What is lost with the process does not count as watched.
const NOTE_AGAIN: Duration = Duration::from_secs(30);

/// The time of leases as this process knows it. It is alone, so the database need not be asked, and is told only
/// what has to outlive the process.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<Option<Noted>>);

#[derive(Debug, Clone, Copy)]
struct Noted {
    clock: LeaseClock,
    /// When it was last written.
    at: Timestamp,
}

#[async_trait]
impl Reaper for SqliteStore {
    async fn watch_leases(&self, look: LeaseLook) -> Result<LeaseWatch, StoreError> {
        let now = match look.now {
            Some(now) => now,
            None => self.read(|db| db.one(WALL_CLOCK, [], |row| row.time("now"))).await?,
        };
        let mut watched = self.watched.0.lock().await;
        let noted = match *watched {
            Some(noted) => noted,
            None => self.read(noted).await?,
        };
        let clock = noted.clock.look(now, look.standstill, look.at_most);
        let skipped = clock.lag - noted.clock.lag;
        let is_old = noted.at + NOTE_AGAIN <= now || now + NOTE_AGAIN <= noted.at;
        let at = if skipped != 0 || is_old {
            self.write_urgent(move |db| note(db, clock)).await?;
            now
        } else {
            noted.at
        };
        *watched = Some(Noted { clock, at });
        drop(watched);
        let (missed, due) = self.read(move |db| due(db, clock.time(now))).await?;
        Ok(LeaseWatch { now, clock, skipped, missed, due })
    }

    async fn reap(&self, at: Moment, limit: u32) -> Result<Vec<Reaped>, StoreError> {
        self.write(move |db| reap(db, at, limit)).await
    }
}

const WALL_CLOCK: &str = "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS now";

const NOTED: &str = "SELECT seen_at, lag, settled_at FROM lease_clock WHERE id = 1";

fn noted(db: &Connection) -> Result<Noted, StoreError> {
    db.one(NOTED, [], |row| {
        let clock = LeaseClock {
            seen_at: row.time("seen_at")?,
            lag: row.value("lag")?,
            settled_at: LeaseTime::from_micros(row.value("settled_at")?),
        };
        Ok(Noted { clock, at: clock.seen_at })
    })
}

const NOTE: &str = "UPDATE lease_clock SET seen_at = ?1, lag = ?2, settled_at = ?3 WHERE id = 1";

fn note(db: &Connection, clock: LeaseClock) -> Result<(), StoreError> {
    db.run_one(NOTE, [clock.seen_at.unix_micros(), clock.lag, clock.settled_at.micros()])
}

const MISSED: &str = "
    SELECT count(*) FROM worker_session WHERE lease_until - lease + missed_after <= ?1";

const DUE: &str = "
    SELECT EXISTS (SELECT 1 FROM worker_session WHERE lease_until <= ?1)
        OR EXISTS (SELECT 1 FROM lease WHERE reported_end IS NULL AND overdue_at <= ?1)";

/// How many workers are missed, and whether anything may have to be taken back. Limits of tasks matter where a worker
/// is missed.
fn due(db: &Connection, time: LeaseTime) -> Result<(u64, bool), StoreError> {
    let missed = db.one(MISSED, [time.micros()], read_count)?;
    let due = db.one(DUE, [time.micros()], only)?;
    Ok((missed, due || missed > 0))
}

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

/// A limit of a task matters only where its worker is missed.
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

fn reap(db: &Connection, at: Moment, limit: u32) -> Result<Vec<Reaped>, StoreError> {
    let mut reaped = Vec::new();
    for (gone, reason) in [
        (SILENT_WORKERS, ReapReason::Silent),
        (OVERDUE_WORKERS, ReapReason::Overdue),
        (WORKERS_PAST_A_LIMIT, ReapReason::TaskLimit),
    ] {
        let room = i64::from(limit) - i64::try_from(reaped.len()).expect("not more than the limit");
        let gone: Vec<_> = db.all(gone, params![at.lease.micros(), room], |row| {
            Ok((WorkerId(row.value("id")?), row.value("uuid")?, row.optional_time("token_until")?))
        })?;
        for (id, worker, token_until) in gone {
            let returned = match reason {
                ReapReason::Silent | ReapReason::Overdue => {
                    let departure = Departure::of_lifetime(token_until, at.now);
                    crash::point("reap.session_delete:before");
                    let returned = finish(remove(db.into(), id, worker, departure, Fate::Lost, at.now))?;
                    crash::point("reap.session_delete:after");
                    returned
                }
                ReapReason::TaskLimit => take_single(db, id, at)?,
            };
            reaped.push(Reaped { worker, reason, returned });
        }
    }
    Ok(reaped)
}

/// Takes the attempts that are past the limits of their tasks from a worker.
fn take_single(db: &Connection, worker: WorkerId, at: Moment) -> Result<Vec<Uuid>, StoreError> {
    let past: Vec<Lease> = db.all(PAST_THEIR_LIMIT, [worker.0, at.lease.micros()], lease::read)?;
    past.iter().map(|lease| finish(requeue(db.into(), lease, Fate::Lost, at.now))).collect()
}
