//! Monitoring of leases, and requeuing of the tasks of lost workers.

use async_trait::async_trait;
use mitosis_domain::failpoints;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::{LeaseClock, LeaseTime, Moment};
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::session::{Params, Session};
use super::{PostgresStore, write};
use crate::StoreError;
use crate::db::{Row, only};
use crate::ops::reaper::{LeaseObservation, LeaseStatus, ReapReason, Reaped, Reaper};
use crate::ops::workers::{Departure, Fate};
use crate::ops::{Changed, Effects};
use crate::shared::dispatch::lease::{self, Lease};
use crate::shared::dispatch::requeue::requeue;
use crate::shared::workers::remove::remove;

#[async_trait]
impl Reaper for PostgresStore {
    async fn monitor_leases(&self, look: LeaseObservation) -> Result<LeaseStatus, StoreError> {
        self.observed.operation("monitor_leases", self.observe_leases(look)).await
    }

    async fn reap(&self, at: Moment, limit: u32) -> Result<Changed<Vec<Reaped>>, StoreError> {
        self.observed.operation("reap", self.reap_round(at, limit)).await
    }
}

impl PostgresStore {
    /// In most cases this is one statement that writes nothing.
    async fn observe_leases(&self, look: LeaseObservation) -> Result<LeaseStatus, StoreError> {
        let now = look.now.map(Timestamp::unix_micros);
        let client = self.client().await?;
        let db = Session::Client(&client);
        loop {
            let seen: Observation = db.one(OBSERVE, &[&now], read_observation).await?;
            let watch = seen.after(&look);
            // Without interruptions, the observation is written only now and then.
            let is_old = seen.clock.seen_at + look.standstill / 2 <= seen.now;
            let is_noted = watch.skipped == 0 && !is_old;
            if is_noted || set_clock(db, seen.clock, watch.clock).await? {
                return Ok(watch);
            }
        }
    }

    /// Uses one transaction per worker, so that none waits for the tasks of another. The first error ends the
    /// round. The result includes what was reaped before it, and the next round meets it again.
    async fn reap_round(&self, at: Moment, limit: u32) -> Result<Changed<Vec<Reaped>>, StoreError> {
        let (mut reaped, mut effects) = (Vec::new(), Effects::default());
        let params: Params<'_> = &[&at.lease.micros(), &i64::from(limit)];
        let candidates: Vec<(WorkerId, ReapReason)> =
            Session::Client(&self.client().await?).all(CANDIDATES, params, read_candidate).await?;
        for (worker, reason) in candidates {
            match write!(self, db => reap(db, worker, reason, at)) {
                Ok(one) => reaped.extend(effects.keep(one)),
                Err(error) if reaped.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(effects.with(reaped))
    }
}

/// Executed every second by every coordinator.
const OBSERVE: &str = "
    WITH look AS (
        SELECT seen_at, lag, settled_at, coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now
        FROM lease_clock WHERE id = 1)
    SELECT seen_at, lag, settled_at, now,
           (SELECT count(*) FROM worker_session
            WHERE lease_until - lease + missed_after <= look.now - look.lag) AS missed,
           EXISTS (SELECT 1 FROM worker_session WHERE lease_until <= look.now - look.lag)
           OR EXISTS (SELECT 1 FROM lease
                      WHERE reported_end IS NULL AND overdue_at <= look.now - look.lag) AS due
    FROM look";

/// The state of the leases at an observation.
struct Observation {
    clock: LeaseClock,
    now: Timestamp,
    missed: u64,
    due: bool,
}

impl Observation {
    fn after(&self, look: &LeaseObservation) -> LeaseStatus {
        let clock = self.clock.observe(self.now, look.standstill, look.at_most);
        let Self { now, missed, due, .. } = *self;
        // Limits of tasks only matter if their worker is missed.
        LeaseStatus { now, clock, skipped: clock.lag - self.clock.lag, missed, due: due || missed > 0 }
    }
}

fn read_observation(row: &Row<'_>) -> Result<Observation, StoreError> {
    Ok(Observation {
        clock: LeaseClock {
            seen_at: row.time("seen_at")?,
            lag: row.value("lag")?,
            settled_at: LeaseTime::from_micros(row.value("settled_at")?),
        },
        now: row.time("now")?,
        missed: row.value::<i64>("missed")?.unsigned_abs(),
        due: row.value("due")?,
    })
}

/// Updates the clock unless another coordinator has written it in the meantime.
const SET_CLOCK: &str = "
    UPDATE lease_clock SET seen_at = $1, lag = $2, settled_at = $5 WHERE id = 1 AND seen_at = $3 AND lag = $4";

/// Returns false if another coordinator has set the clock in the meantime.
async fn set_clock(db: Session<'_>, from: LeaseClock, to: LeaseClock) -> Result<bool, StoreError> {
    let (seen_at, was_seen_at) = (to.seen_at.unix_micros(), from.seen_at.unix_micros());
    let params: Params<'_> = &[&seen_at, &to.lag, &was_seen_at, &from.lag, &to.settled_at.micros()];
    Ok(db.run(SET_CLOCK, params).await? > 0)
}

/// A lease includes its last instant. A task is overdue only until the end of its command is reported, since
/// the worker uploads the artifacts after that. A limit of a task only matters if its worker is missed.
const CANDIDATES: &str = "
    (SELECT worker_id, 0::smallint AS reason, lease_until AS since FROM worker_session
     WHERE lease_until <= $1
     ORDER BY lease_until, worker_id LIMIT $2)
    UNION ALL
    (SELECT worker_id, 1::smallint, min(overdue_at) FROM lease
     WHERE reported_end IS NULL AND overdue_at <= $1
       -- Each worker is one candidate.
       AND worker_id NOT IN (SELECT worker_id FROM worker_session WHERE lease_until <= $1)
     GROUP BY worker_id ORDER BY min(overdue_at), worker_id LIMIT $2)
    UNION ALL
    (SELECT worker_id, 2::smallint, lease_until FROM worker_session session
     WHERE lease_until > $1 AND lease_until - lease + missed_after <= $1
       AND EXISTS (SELECT 1 FROM lease
                   WHERE lease.worker_id = session.worker_id AND lost_after IS NOT NULL
                     AND session.lease_until - session.lease
                         + greatest(least(lost_after, session.lease), missed_after) <= $1)
     ORDER BY lease_until, worker_id LIMIT $2)
    ORDER BY reason, since, worker_id
    LIMIT $2";

fn read_candidate(row: &Row<'_>) -> Result<(WorkerId, ReapReason), StoreError> {
    Ok((WorkerId(row.value("worker_id")?), row.code("reason")?))
}

/// Waits for transactions that change the worker or renew its lease.
const LOCK: &str = "
    SELECT w.uuid, w.token_until FROM worker w JOIN worker_session s ON s.worker_id = w.id
    WHERE w.id = $1 FOR UPDATE";

const IS_SILENT: &str = "
    SELECT EXISTS (SELECT 1 FROM worker_session WHERE worker_id = $1 AND lease_until <= $2)";

const IS_OVERDUE: &str = "
    SELECT EXISTS (
        SELECT 1 FROM lease WHERE worker_id = $1 AND reported_end IS NULL AND overdue_at <= $2)";

const PAST_THEIR_LIMIT: &str = "
    SELECT lease.task_id, lease.worker_id, lease.epoch, lease.token, lease.losses, lease.claimed_at,
           lease.reported_end
    FROM lease JOIN worker_session session ON session.worker_id = lease.worker_id
    WHERE lease.worker_id = $1 AND lease.lost_after IS NOT NULL
      AND session.lease_until - session.lease
          + greatest(least(lease.lost_after, session.lease), session.missed_after) <= $2
    ORDER BY lease.claimed_at, lease.task_id";

/// Reaps a locked worker, or its attempts, if the reason still applies.
async fn reap(
    db: Session<'_>,
    worker: WorkerId,
    reason: ReapReason,
    at: Moment,
) -> Result<Changed<Option<Reaped>>, StoreError> {
    let found: Option<(Uuid, Option<Timestamp>)> = db
        .optional(LOCK, &[&worker.0], |row| Ok((row.value("uuid")?, row.optional_time("token_until")?)))
        .await?;
    let Some((uuid, token_until)) = found else { return Ok(Changed::nothing(None)) };
    let still_so = match reason {
        ReapReason::Silent => IS_SILENT,
        ReapReason::Overdue => IS_OVERDUE,
        ReapReason::TaskLimit => return reap_attempts(db, worker, uuid, at).await,
    };
    if !db.one(still_so, &[&worker.0, &at.lease.micros()], only).await? {
        return Ok(Changed::nothing(None));
    }
    let departure = Departure::of_lifetime(token_until, at.now);
    failpoints::point("reap.session_delete:before");
    let removed = remove(db.into(), worker, uuid, departure, Fate::WorkerLost, at.now).await?;
    failpoints::point("reap.session_delete:after");
    Ok(removed.map(|returned| Some(Reaped { worker: uuid, reason, returned })))
}

/// Takes the attempts beyond the limits of their tasks from a locked worker.
async fn reap_attempts(
    db: Session<'_>,
    worker: WorkerId,
    uuid: Uuid,
    at: Moment,
) -> Result<Changed<Option<Reaped>>, StoreError> {
    let past: Vec<Lease> = db.all(PAST_THEIR_LIMIT, &[&worker.0, &at.lease.micros()], lease::read).await?;
    let (mut returned, mut effects) = (Vec::with_capacity(past.len()), Effects::default());
    for lease in &past {
        returned.push(effects.keep(requeue(db.into(), lease, Fate::WorkerLost, at.now).await?));
    }
    if returned.is_empty() {
        return Ok(Changed::nothing(None));
    }
    effects.workers.push(uuid);
    Ok(effects.with(Some(Reaped { worker: uuid, reason: ReapReason::TaskLimit, returned })))
}
