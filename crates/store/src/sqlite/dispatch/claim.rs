//! Assignment of tasks to workers.

use std::time::Duration;

use mitosis_domain::failpoints;
use mitosis_domain::ids::{GroupId, WorkerId};
use mitosis_domain::lease::{LeaseTime, Moment};
use mitosis_domain::limits;
use mitosis_domain::task::LeaseKey;
use mitosis_domain::timeout::Timeout;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{LeaseToken, Role};
use rusqlite::params;

use crate::StoreError;
use crate::enum_codes::Code;
use crate::exchange_plan::{Eligibility, Participant};
use crate::fairness::SharedFairShare;
use crate::ops::dispatch::{Assignment, Claim, Work};
use crate::ops::jobs::CountChange;
use crate::ops::{Changed, Effects};
use crate::shared::dispatch::ready::{Queues, Ready};
use crate::shared::dispatch::room::Demand;
use crate::shared::dispatch::{assignment, lease};
use crate::shared::jobs::counts::CountChanges;
use crate::shared::tasks::get;
use crate::shared::workers::{self, LockedWorker};
use crate::sqlite::connection::Connection;
use crate::sqlite::finish;

const PARTICIPANT: &str = "
    SELECT w.uuid, w.state, w.drain_reason IS NOT NULL AS is_drained, w.tags, w.offer, w.ends_at, u.state AS owner_state
    FROM worker w CROSS JOIN users u ON u.id = w.creator_id WHERE w.id = ?1";

const GROUPS_OF_WORKER: &str = "
    SELECT group_id FROM worker_group WHERE worker_id = ?1 AND role >= ?2 ORDER BY group_id";

/// Reads a worker and what it may run. A worker whose owner's account is not Active counts as gone.
pub(super) fn participant(db: &Connection, id: WorkerId) -> Result<Option<Participant>, StoreError> {
    let found = db.optional(PARTICIPANT, [id.0], |row| {
        let (uuid, state) = (row.value("uuid")?, row.code("state")?);
        let worker = LockedWorker { id, uuid, state, is_drained: row.value("is_drained")? };
        let (offer, ends_at) = (row.value("offer")?, row.optional_time("ends_at")?);
        let owner: AccountState = row.code("owner_state")?;
        Ok((worker, row.tag_set("tags")?, offer, ends_at, owner))
    })?;
    let Some((worker, tags, offer, ends_at, AccountState::Active)) = found else { return Ok(None) };
    let groups =
        db.all(GROUPS_OF_WORKER, params![id.0, Role::Write.code()], |row| row.get(0).map(GroupId))?;
    Ok(Some(Participant { worker, eligibility: Eligibility { groups, tags }, offer, ends_at }))
}

/// The task that a worker holds, the oldest if there are several.
const RUNNING_OF_WORKER: &str = "
    SELECT task_id, worker_id, epoch, token, losses, claimed_at, reported_end
    FROM lease WHERE worker_id = ?1 AND reported_end IS NULL
    ORDER BY claimed_at, task_id LIMIT 1";

/// Returns the task that the worker holds, or assigns another one.
pub(crate) fn claim_or_resume(
    db: &Connection,
    shares: &SharedFairShare,
    worker: WorkerId,
    token: LeaseToken,
    at: Moment,
) -> Result<Changed<Claim>, StoreError> {
    let Some(participant) = participant(db, worker)? else { return Ok(Changed::nothing(Claim::WorkerGone)) };
    let given = |lease: LeaseKey| {
        let task = finish(get::by_id(db.into(), lease.task))?;
        Ok(Claim::Assigned(Box::new(Assignment { task, lease })))
    };
    if let Some(held) = db.optional(RUNNING_OF_WORKER, [worker.0], lease::read)? {
        // It was given before.
        return given(held.key).map(Changed::nothing);
    }
    if participant.worker.state == WorkerState::GracefulShutdown {
        return Ok(Changed::nothing(Claim::Stopping));
    }
    let mut queues = finish(Queues::read(db.into(), &[&participant.eligibility]))?;
    let Some(first) = finish(queues.first(db.into(), shares, at.now))?.into_iter().next() else {
        return Ok(Changed::nothing(Claim::NoTask));
    };
    let work = assign(db, worker, first, token, at)?;
    finish(workers::touch(db.into(), worker, at.now))?;
    let mut counts = CountChanges::default();
    counts.add(work.job, CountChange::CLAIMED);
    let mut effects = finish(counts.write(db.into()))?;
    effects.add(Effects::moved());
    Ok(effects.with(given(work.lease)?))
}

const DEQUEUE: &str = "
    DELETE FROM ready WHERE lane_id = ?1 AND held = FALSE AND neg_priority = ?2 AND task_id = ?3";

const INSERT_LEASE: &str = "
    INSERT INTO lease (task_id, worker_id, epoch, token, losses, claimed_at, overdue_at, updated_at, lost_after,
                       limit_set_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6, ?8, ?9)";

const TASK: &str = "
    SELECT uuid, group_id, priority, timeout_seconds, upstream_uuid, job_id, spec, lost_after
    FROM task WHERE id = ?1";

/// Leases a Ready task to a worker.
pub(super) fn assign(
    db: &Connection,
    worker: WorkerId,
    ready: Ready,
    token: LeaseToken,
    at: Moment,
) -> Result<Work, StoreError> {
    let Ready { neg_priority, task, demand: Demand { lane, limits, .. }, epoch, losses, .. } = ready;
    db.run_one(DEQUEUE, params![lane.0, neg_priority, task.0])?;
    failpoints::point("claim.lease:before");
    let lease = LeaseKey { task, epoch: epoch.next(), token };
    let (work, lost_after) = db.one(TASK, [task.0], |row| {
        Ok((assignment::read_task(row, lease)?, row.value::<Option<i64>>("lost_after")?))
    })?;
    db.run_one(
        INSERT_LEASE,
        params![
            task.0,
            worker.0,
            lease.epoch.0,
            token.0,
            losses,
            at.now.unix_micros(),
            overdue_at(at.lease, work.timeout).micros(),
            lost_after,
            limits.map(|set| set.0),
        ],
    )?;
    failpoints::point("claim.lease:after");
    Ok(work)
}

/// When an attempt is reaped unless its end has been reported (HTTP contract §12.4).
fn overdue_at(claimed_at: LeaseTime, timeout: Timeout) -> LeaseTime {
    claimed_at + Duration::from(timeout) + limits::PREPARATION_ALLOWANCE + limits::OVERDUE_GRACE
}
