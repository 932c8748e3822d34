//! The exchange with many agents in one transaction. Ended attempts come first, so that the tasks they release
//! can be assigned, then returned attempts, then new assignments.

use std::collections::HashMap;
use std::sync::Arc;

use mitosis_domain::failpoints;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::Moment;
use mitosis_domain::task::LeaseKey;
use mitosis_protocol::Timestamp;
use mitosis_protocol::worker::WorkerState;

use super::claim;
use super::complete::{self, EndedTask};
use crate::StoreError;
use crate::exchange_plan::{Participant, WorkerUpdate, worker_updates};
use crate::fairness::SharedFairShare;
use crate::ops::dispatch::{Assigned, Class, Ended, Exchange, Exchanged, Holder, Verdict, Work};
use crate::ops::jobs::CountChange;
use crate::ops::workers::Fate;
use crate::ops::{Changed, Effects};
use crate::shared::artifacts::inline::{self, EndedWithArchives};
use crate::shared::dispatch::lease::{self, EndedLease};
use crate::shared::dispatch::requeue;
use crate::shared::dispatch::rounds::Rounds;
use crate::shared::jobs::counts::CountChanges;
use crate::shared::jobs::elements::EndedElement;
use crate::shared::jobs::elements::settle::settle;
use crate::shared::workers::{self, LockedWorker};
use crate::sqlite::connection::Connection;
use crate::sqlite::finish;

type Participants = HashMap<WorkerId, Participant>;

/// What agents get, by their positions in the batch.
type WorkByPlace = HashMap<usize, Vec<Work>>;

/// Processes a batch of exchanges.
pub(crate) fn exchange(
    db: &Connection,
    shares: &SharedFairShare,
    batch: &[Arc<Exchange>],
    at: Moment,
) -> Result<Changed<Vec<Exchanged>>, StoreError> {
    let now = at.now;
    let mut participants: Participants = HashMap::new();
    for one in batch {
        participants.extend(claim::participant(db, one.worker)?.map(|found| (one.worker, found)));
    }
    let (mut verdicts, mut effects) = (Vec::with_capacity(batch.len()), Effects::default());
    let (mut counts, mut needed) = (CountChanges::default(), Vec::new());
    for one in batch {
        let worker = participants.get(&one.worker).map(|participant| participant.worker);
        let mut of_one = Vec::with_capacity(one.ended.len());
        for ended in &one.ended {
            of_one.push(effects.keep(end(db, shares, worker, ended, (&mut counts, &mut needed), now)?));
        }
        verdicts.push(of_one);
    }
    for one in batch.iter().filter(|one| participants.contains_key(&one.worker)) {
        for key in &one.returned {
            effects.add(requeue(db, one.worker, *key, now)?);
        }
    }
    effects.add(finish(settle(db.into(), needed, &mut counts, now))?);
    let (mut work, classes) = assign_all(db, shares, batch, &participants, at)?;
    effects.moved |= !work.is_empty();
    work.values().flatten().for_each(|work| counts.add(work.job, CountChange::CLAIMED));
    effects.add(finish(counts.write(db.into()))?);
    effects.add(update_workers(db, batch, &participants, &verdicts, &work, now)?);
    let each = batch.iter().zip(verdicts).enumerate();
    let each = each.map(|(place, (one, verdicts))| Exchanged {
        verdicts,
        assigned: match participants.get(&one.worker) {
            None => Assigned::WorkerGone,
            Some(Participant { worker, eligibility, .. }) => match worker.state {
                WorkerState::GracefulShutdown => Assigned::Stopping,
                WorkerState::Normal => {
                    let class = classes.get(&place).copied().unwrap_or_else(|| eligibility.class());
                    Assigned::Work(work.remove(&place).unwrap_or_default(), class)
                }
            },
        },
    });
    if batch.iter().any(|one| !one.ended.is_empty()) {
        failpoints::point("complete.commit:before");
    }
    if batch.iter().any(|one| one.want > 0) {
        failpoints::point("claim.commit:before");
    }
    Ok(effects.with(each.collect()))
}

/// Ends an attempt of a worker.
fn end(
    db: &Connection,
    shares: &SharedFairShare,
    worker: Option<LockedWorker>,
    ended: &Ended,
    (counts, needed): (&mut CountChanges, &mut Vec<EndedElement>),
    now: Timestamp,
) -> Result<Changed<Verdict>, StoreError> {
    // A request to stop that comes after the end has no effect.
    failpoints::point("complete.delete:before");
    let held = match worker {
        Some(worker) => finish(lease::end_of(db.into(), worker.id, ended.lease))?.map(|held| (worker, held)),
        None => None,
    };
    let Some((worker, (lease, EndedLease { is_limited, .. }))) = held else {
        return not_held(db, ended.lease).map(Changed::nothing);
    };
    let end = lease.reported_end.unwrap_or(ended.end);
    let committed = complete::end(db, &lease, worker.uuid, end, attempt_end(ended), counts, now)?;
    let (EndedTask { uuid, group, creator, retries, element }, mut effects) = committed.into_parts();
    effects.ready |= is_limited;
    needed.extend(element);
    shares.ended([(group, creator)], now);
    if !ended.archives.is_empty() {
        let attempt = EndedWithArchives { uuid, group, ended };
        finish(inline::store(db.into(), &[attempt], now))?;
    }
    effects.add(finish(retries.apply(db.into(), counts, now))?);
    Ok(effects.with(Verdict::Committed(uuid)))
}

/// The verdict on an attempt that the worker does not hold.
fn not_held(db: &Connection, key: LeaseKey) -> Result<Verdict, StoreError> {
    let holder = Holder::Lease(key);
    let is_held = finish(lease::find(db.into(), holder))?.is_some();
    Ok(match !is_held && complete::was_committed(db, holder)? {
        true => Verdict::Replayed,
        false => Verdict::Stale,
    })
}

fn attempt_end(ended: &Ended) -> complete::AttemptEnd<'_> {
    complete::AttemptEnd {
        result: ended.result,
        data: ended.data.as_deref(),
        warnings: &ended.warnings,
        usage: ended.usage,
    }
}

/// Requeues an attempt that was not started. Only the number of the attempt differs from before.
fn requeue(db: &Connection, worker: WorkerId, key: LeaseKey, now: Timestamp) -> Result<Effects, StoreError> {
    match finish(lease::find(db.into(), Holder::Lease(key)))? {
        Some(lease) if lease.worker == worker => {
            Ok(finish(requeue::requeue(db.into(), &lease, Fate::Returned, now))?.into_parts().1)
        }
        _ => Ok(Effects::default()),
    }
}

/// Assigns tasks to the agents that want some; returns them, and the classes of the agents, by the position of the agent in
/// the batch.
fn assign_all(
    db: &Connection,
    shares: &SharedFairShare,
    batch: &[Arc<Exchange>],
    participants: &Participants,
    at: Moment,
) -> Result<(WorkByPlace, HashMap<usize, Class>), StoreError> {
    let mut given: HashMap<usize, Vec<Work>> = HashMap::new();
    let mut rounds = finish(Rounds::plan(db.into(), batch, participants, at.now))?;
    while let Some(selected) = finish(rounds.next(db.into(), shares, at.now))? {
        for (place, ready) in selected {
            let Exchange { worker, token, .. } = *batch[place];
            given.entry(place).or_default().push(claim::assign(db, worker, ready, token, at)?);
        }
    }
    Ok((given, rounds.classes()))
}

fn update_workers(
    db: &Connection,
    batch: &[Arc<Exchange>],
    participants: &Participants,
    verdicts: &[Vec<Verdict>],
    work: &HashMap<usize, Vec<Work>>,
    now: Timestamp,
) -> Result<Effects, StoreError> {
    let mut effects = Effects::default();
    let state = |worker| participants.get(&worker).map(|found| found.worker.state);
    for (worker, update) in worker_updates(batch, state, verdicts, work) {
        match update {
            WorkerUpdate::Touch => finish(workers::touch(db.into(), worker, now))?,
            WorkerUpdate::RemoveIfDrained => {
                effects.add(finish(workers::after_commit(db.into(), &participants[&worker].worker, now))?);
            }
        }
    }
    Ok(effects)
}
