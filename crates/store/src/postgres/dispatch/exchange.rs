//! The exchange with many agents in one transaction. Ended attempts come first, so that the tasks they release
//! can be assigned, then returned attempts, then new assignments.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use mitosis_domain::failpoints;
use mitosis_domain::ids::{GroupId, JobId, TaskId, UserId, WorkerId};
use mitosis_domain::lease::Moment;
use mitosis_domain::task::{ExecEnd, LeaseKey, outcome};
use mitosis_protocol::job::TaskOutcome;
use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{Epoch, LeaseToken, Timestamp};
use uuid::Uuid;

use super::claim;
use super::participants;
use crate::StoreError;
use crate::db::{StoredUsage, warnings_to_json};
use crate::enum_codes::Code;
use crate::exchange_plan::{Participant, WorkerUpdate, worker_updates};
use crate::fairness::SharedFairShare;
use crate::ops::dispatch::{Assigned, Class, Ended, Exchange, Exchanged, Holder, Verdict, Work};
use crate::ops::jobs::CountChange;
use crate::ops::workers::Fate;
use crate::ops::{Changed, Effects};
use crate::postgres::session::{Params, Session};
use crate::shared::artifacts::inline::{self, EndedWithArchives};
use crate::shared::artifacts::records;
use crate::shared::dispatch::ready::Ready;
use crate::shared::dispatch::rounds::Rounds;
use crate::shared::dispatch::{follow_up, lease, requeue};
use crate::shared::jobs::auto_retry;
use crate::shared::jobs::counts::CountChanges;
use crate::shared::jobs::elements::EndedElement;
use crate::shared::jobs::elements::settle::settle;
use crate::shared::jobs::reopen::RetriedBy;
use crate::shared::workers::{self};

type Participants = HashMap<WorkerId, Participant>;

/// Processes a batch of exchanges.
pub(crate) async fn exchange(
    db: Session<'_>,
    shares: &SharedFairShare,
    batch: &[Arc<Exchange>],
    at: Moment,
) -> Result<Changed<Vec<Exchanged>>, StoreError> {
    let now = at.now;
    let workers: Vec<WorkerId> = batch.iter().map(|one| one.worker).collect();
    let participants = participants::lock(db, &workers).await?;
    let mut effects = Effects::default();
    let (mut counts, mut needed) = (CountChanges::default(), Vec::new());
    let changes = (&mut counts, &mut needed);
    let mut verdicts = effects.keep(end_all(db, shares, batch, &participants, changes, now).await?);
    if batch.iter().any(|one| !one.ended.is_empty()) {
        failpoints::point("complete.delete:after");
    }
    for one in batch.iter().filter(|one| participants.contains_key(&one.worker)) {
        for key in &one.returned {
            effects.add(requeue(db, one.worker, *key, now).await?);
        }
    }
    // Last, because it locks the links of jobs, which come after the jobs.
    effects.add(settle(db.into(), needed, &mut counts, now).await?);
    let (mut work, classes) = assign_all(db, shares, batch, &participants, at).await?;
    effects.moved |= !work.is_empty();
    work.values().flatten().for_each(|work| counts.add(work.job, CountChange::CLAIMED));
    effects.add(update_workers(db, batch, &participants, &verdicts, &work, now).await?);
    effects.add(counts.write(db.into()).await?);
    let each = batch.iter().enumerate().map(|(place, one)| Exchanged {
        verdicts: std::mem::take(&mut verdicts[place]),
        assigned: match participants.get(&one.worker) {
            None => Assigned::WorkerGone,
            Some(participant) if participant.worker.state == WorkerState::GracefulShutdown => {
                Assigned::Stopping
            }
            Some(participant) => {
                let class = classes.get(&place).copied();
                let class = class.unwrap_or_else(|| participant.eligibility.class());
                Assigned::Work(work.remove(&place).unwrap_or_default(), class)
            }
        },
    });
    if batch.iter().any(|one| !one.ended.is_empty()) {
        failpoints::point("complete.commit:before");
    }
    if batch.iter().any(|one| one.want > 0) {
        failpoints::point("claim.commit:before");
    }
    let each = each.collect();
    Ok(effects.with(each))
}

/// The attempts that ended now, each with its worker.
type Committed = HashMap<(WorkerId, LeaseKey), CommittedTask>;

/// The task of an attempt that ended now.
#[derive(Debug, Clone, Copy)]
struct CommittedTask {
    uuid: Uuid,
    group: GroupId,
    creator: UserId,
    job: Option<JobId>,
    end: ExecEnd,
    /// It used named limits: others may start now.
    is_limited: bool,
}

/// Deletes the leases and inserts the ends in one statement, so that no earlier read can be outdated.
const END_ALL: &str = "
    WITH reported AS (
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::smallint[],
                             $6::int[], $7::smallint[], $8::text[], $9::uuid[], $11::text[],
                             $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
            AS reported (task_id, worker_id, epoch, token, ended_as, exit_status, message, data, reporter_uuid,
                     warnings, wall_micros, cpu_micros, peak_memory, output_bytes)),
    ended AS (
        DELETE FROM lease USING reported
        WHERE lease.task_id = reported.task_id AND lease.worker_id = reported.worker_id
          AND lease.epoch = reported.epoch AND lease.token = reported.token
        RETURNING lease.task_id, lease.worker_id, lease.epoch, lease.token, lease.claimed_at,
                  coalesce(lease.reported_end, reported.ended_as) AS state, reported.exit_status, reported.message,
                  reported.data, reported.reporter_uuid, reported.warnings,
                  reported.wall_micros, reported.cpu_micros, reported.peak_memory, reported.output_bytes,
                  lease.limit_set_id IS NOT NULL AS is_limited),
    inserted AS (
        INSERT INTO done (task_id, state, exit_status, message, reporter_uuid, reporter_worker_id,
                          epoch, token, claimed_at, finished_at, data, warnings,
                          wall_micros, cpu_micros, peak_memory, output_bytes)
        SELECT task_id, state, exit_status, message, reporter_uuid, worker_id,
               epoch, token, claimed_at, $10, data::json, warnings,
               wall_micros, cpu_micros, peak_memory, output_bytes
        FROM ended)
    SELECT ended.task_id, ended.worker_id, ended.epoch, ended.token, task.uuid, task.group_id, task.creator_id,
           task.job_id, ended.state, ended.is_limited
    FROM ended JOIN task ON task.id = ended.task_id";

/// Checks for artifacts and follow-ups, which most attempts don't have, and for jobs whose tasks others need.
const WITH_OUTPUTS: &str = "
    SELECT DISTINCT reported.task_id, reported.epoch, NULL::bigint AS needed_job
    FROM unnest($1::bigint[], $2::bigint[]) AS reported (task_id, epoch)
    WHERE EXISTS (SELECT 1 FROM artifact a
                  WHERE a.task_id = reported.task_id AND a.epoch = reported.epoch AND NOT a.visible)
       OR EXISTS (SELECT 1 FROM pending p
                  WHERE p.upstream_task_id = reported.task_id AND p.upstream_epoch = reported.epoch)
    UNION ALL
    SELECT 0, 0, job_id FROM unnest($3::bigint[]) AS ended (job_id)
    WHERE EXISTS (SELECT 1 FROM job_dependency x WHERE x.needed_id = ended.job_id AND x.kind = 2)";

/// Matches committed attempts by their keys, also earlier ones. A cancellation has no reporter, so its token 0 matches
/// nothing.
const COMMITTED_BEFORE: &str = "
    SELECT done.task_id, done.epoch, done.token
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS reported (task_id, epoch, token)
    JOIN done ON done.task_id = reported.task_id AND done.epoch = reported.epoch AND done.token = reported.token
    WHERE done.reporter_worker_id IS NOT NULL
    UNION ALL
    SELECT attempt.task_id, attempt.epoch, attempt.token
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS reported (task_id, epoch, token)
    JOIN attempt ON attempt.task_id = reported.task_id AND attempt.epoch = reported.epoch
        AND attempt.token = reported.token
    WHERE attempt.retried_by <> $4";

/// Ends attempts; returns a verdict for each attempt of each agent.
async fn end_all(
    db: Session<'_>,
    shares: &SharedFairShare,
    batch: &[Arc<Exchange>],
    participants: &Participants,
    (counts, needed): (&mut CountChanges, &mut Vec<EndedElement>),
    now: Timestamp,
) -> Result<Changed<Vec<Vec<Verdict>>>, StoreError> {
    if batch.iter().any(|one| !one.ended.is_empty()) {
        failpoints::point("complete.delete:before");
    }
    let reported: Vec<(WorkerId, Option<Uuid>, &Ended)> = batch
        .iter()
        .flat_map(|one| {
            let uuid = participants.get(&one.worker).map(|participant| participant.worker.uuid);
            one.ended.iter().map(move |ended| (one.worker, uuid, ended))
        })
        .collect();
    if reported.is_empty() {
        return Ok(Changed::nothing(vec![Vec::new(); batch.len()]));
    }
    let committed = end(db, &reported, now).await?;
    shares.ended(committed.values().map(|task| (task.group, task.creator)), now);
    let failed = count_ended(&reported, &committed, counts);
    let retries = auto_retry::decide(db.into(), &failed, now).await?;
    let mut effects = Effects::ended(committed.values().map(|task| task.uuid).collect());
    effects.ready = committed.values().any(|task| task.is_limited);
    let left = left_by(db, &reported, &committed).await?;
    for (task, epoch) in left.with_outputs {
        if committed.keys().any(|(_, key)| key.task == task && key.epoch == epoch) {
            records::publish_attempt(db.into(), task, epoch, now).await?;
            match retries.includes(task) {
                true => follow_up::drop_pending(db.into(), task, now).await?,
                false => effects.add(follow_up::release(db.into(), task, epoch, now).await?),
            }
        }
    }
    store_archives(db, &reported, &committed, now).await?;
    needed.extend(needed_elements(&reported, &committed, &left.needed_jobs, &retries));
    effects.add(retries.apply(db.into(), counts, now).await?);
    let before = committed_before(db, &reported, &committed).await?;
    // The result is the same as if they had come one after the other: only the first report of an attempt
    // counts.
    let mut decided: HashSet<LeaseKey> = HashSet::new();
    let ended_now: HashSet<LeaseKey> = committed.keys().map(|(_, key)| *key).collect();
    let mut verdict = |worker: WorkerId, key: LeaseKey| match committed.get(&(worker, key)) {
        Some(task) if decided.insert(key) => Verdict::Committed(task.uuid),
        _ if decided.contains(&key) => Verdict::Replayed,
        _ if before.contains(&key) && !ended_now.contains(&key) => Verdict::Replayed,
        _ => Verdict::Stale,
    };
    let verdicts = batch
        .iter()
        .map(|one| one.ended.iter().map(|ended| verdict(one.worker, ended.lease)).collect())
        .collect();
    Ok(effects.with(verdicts))
}

/// Ends the attempts that hold their tasks; returns these.
async fn end(
    db: Session<'_>,
    reported: &[(WorkerId, Option<Uuid>, &Ended)],
    now: Timestamp,
) -> Result<Committed, StoreError> {
    // If an attempt is reported twice, the first report counts.
    let mut first = HashSet::new();
    let held: Vec<_> = reported
        .iter()
        .filter_map(|(worker, uuid, ended)| Some((worker, (*uuid)?, ended)))
        .filter(|(worker, _, ended)| first.insert((**worker, ended.lease)))
        .collect();
    if held.is_empty() {
        return Ok(HashMap::new());
    }
    let tasks: Vec<i64> = held.iter().map(|(_, _, ended)| ended.lease.task.0).collect();
    let workers: Vec<i64> = held.iter().map(|(worker, _, _)| worker.0).collect();
    let epochs: Vec<i64> = held.iter().map(|(_, _, ended)| ended.lease.epoch.0).collect();
    let tokens: Vec<i64> = held.iter().map(|(_, _, ended)| ended.lease.token.0).collect();
    let ends: Vec<i16> = held.iter().map(|(_, _, ended)| ended.end.code()).collect();
    let statuses: Vec<i32> = held.iter().map(|(_, _, ended)| ended.result.exit_status.0).collect();
    let messages: Vec<Option<i16>> =
        held.iter().map(|(_, _, ended)| ended.result.msg.map(Code::code)).collect();
    let data: Vec<Option<&str>> = held.iter().map(|(_, _, ended)| ended.data.as_deref()).collect();
    let warnings: Vec<Option<String>> =
        held.iter().map(|(_, _, ended)| warnings_to_json(&ended.warnings)).collect::<Result<_, _>>()?;
    let usages: Vec<Option<StoredUsage>> =
        held.iter().map(|(_, _, ended)| ended.usage.map(StoredUsage::from)).collect();
    let used = |value: fn(&StoredUsage) -> i64| -> Vec<Option<i64>> {
        usages.iter().map(|usage| usage.as_ref().map(value)).collect()
    };
    let reporters: Vec<Uuid> = held.iter().map(|(_, uuid, _)| *uuid).collect();
    let params: Params<'_> = &[
        &tasks,
        &workers,
        &epochs,
        &tokens,
        &ends,
        &statuses,
        &messages,
        &data,
        &reporters,
        &now.unix_micros(),
        &warnings,
        &used(|usage| usage.wall_micros),
        &used(|usage| usage.cpu_micros),
        &used(|usage| usage.peak_memory),
        &used(|usage| usage.output_bytes),
    ];
    db.all(END_ALL, params, |row| {
        let task = CommittedTask {
            uuid: row.value("uuid")?,
            group: GroupId(row.value("group_id")?),
            creator: UserId(row.value("creator_id")?),
            job: row.value::<Option<_>>("job_id")?.map(JobId),
            end: row.code("state")?,
            is_limited: row.value("is_limited")?,
        };
        Ok(((WorkerId(row.value("worker_id")?), lease::read_key(row)?), task))
    })
    .await
}

/// Counts the attempts that ended now in their jobs, and returns those that failed. If an attempt is reported twice, the
/// first report counts.
fn count_ended(
    reported: &[(WorkerId, Option<Uuid>, &Ended)],
    committed: &Committed,
    counts: &mut CountChanges,
) -> Vec<auto_retry::Failed> {
    let (mut first, mut failed) = (HashSet::new(), Vec::new());
    for (worker, _, ended) in reported {
        let key = (*worker, ended.lease);
        if let Some(task) = committed.get(&key)
            && first.insert(key)
        {
            let outcome = outcome(task.end, ended.result);
            counts.add(task.job, CountChange { running: -1, ..CountChange::ended(outcome, 1) });
            failed.extend(auto_retry::Failed::of(ended.lease.task, task.job, task.end, ended.result));
        }
    }
    failed
}

/// What attempts leave besides their results.
#[derive(Debug, Default)]
struct Left {
    /// Attempts with artifacts or a follow-up.
    with_outputs: Vec<(TaskId, Epoch)>,
    /// Jobs whose tasks others need.
    needed_jobs: BTreeSet<JobId>,
}

async fn left_by(
    db: Session<'_>,
    reported: &[(WorkerId, Option<Uuid>, &Ended)],
    committed: &Committed,
) -> Result<Left, StoreError> {
    let (tasks, epochs): (Vec<i64>, Vec<i64>) =
        reported.iter().map(|(_, _, ended)| (ended.lease.task.0, ended.lease.epoch.0)).unzip();
    let jobs: BTreeSet<i64> = committed.values().filter_map(|task| task.job).map(|job| job.0).collect();
    let jobs: Vec<i64> = jobs.into_iter().collect();
    let found: Vec<(TaskId, Epoch, Option<i64>)> = db
        .all(WITH_OUTPUTS, &[&tasks, &epochs, &jobs], |row| {
            Ok((TaskId(row.get(0)?), Epoch(row.get(1)?), row.get(2)?))
        })
        .await?;
    let mut left = Left::default();
    for (task, epoch, job) in found {
        match job {
            Some(job) => drop(left.needed_jobs.insert(JobId(job))),
            None => left.with_outputs.push((task, epoch)),
        }
    }
    Ok(left)
}

/// The ends of tasks that others need. A task that has another attempt has not ended.
fn needed_elements(
    reported: &[(WorkerId, Option<Uuid>, &Ended)],
    committed: &Committed,
    needed: &BTreeSet<JobId>,
    retries: &auto_retry::Retries,
) -> Vec<EndedElement> {
    let mut first = HashSet::new();
    let element = |(worker, _, ended): &(WorkerId, Option<Uuid>, &Ended)| {
        let (key, id) = ((*worker, ended.lease), ended.lease.task);
        let task = committed.get(&key).filter(|_| first.insert(key))?;
        let job = task.job.filter(|job| needed.contains(job) && !retries.includes(id))?;
        let succeeded = outcome(task.end, ended.result) == TaskOutcome::Succeeded;
        Some(EndedElement { task: id.0, job, succeeded })
    };
    if needed.is_empty() { Vec::new() } else { reported.iter().filter_map(element).collect() }
}

/// Stores the archives that came with the attempts that ended now. If an attempt is reported twice, the first report
/// counts.
async fn store_archives(
    db: Session<'_>,
    reported: &[(WorkerId, Option<Uuid>, &Ended)],
    committed: &Committed,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut first = HashSet::new();
    let with_archives: Vec<EndedWithArchives<'_>> = reported
        .iter()
        .filter(|(worker, _, ended)| first.insert((*worker, ended.lease)) && !ended.archives.is_empty())
        .filter_map(|(worker, _, ended)| {
            let CommittedTask { uuid, group, .. } = *committed.get(&(*worker, ended.lease))?;
            Some(EndedWithArchives { uuid, group, ended })
        })
        .collect();
    match with_archives.is_empty() {
        true => Ok(()),
        false => inline::store(db.into(), &with_archives, now).await,
    }
}

/// Returns those of the other attempts that had been committed before.
async fn committed_before(
    db: Session<'_>,
    reported: &[(WorkerId, Option<Uuid>, &Ended)],
    committed: &Committed,
) -> Result<HashSet<LeaseKey>, StoreError> {
    let undecided: HashSet<LeaseKey> = reported
        .iter()
        .filter(|(worker, _, ended)| !committed.contains_key(&(*worker, ended.lease)))
        .map(|(_, _, ended)| ended.lease)
        .collect();
    if undecided.is_empty() {
        return Ok(undecided);
    }
    let tasks: Vec<i64> = undecided.iter().map(|key| key.task.0).collect();
    let epochs: Vec<i64> = undecided.iter().map(|key| key.epoch.0).collect();
    let tokens: Vec<i64> = undecided.iter().map(|key| key.token.0).collect();
    let params: Params<'_> = &[&tasks, &epochs, &tokens, &RetriedBy::Loss.code()];
    db.all(COMMITTED_BEFORE, params, lease::read_key).await
}

/// Requeues attempts that were not started. Only the number of the attempt differs from before.
async fn requeue(
    db: Session<'_>,
    worker: WorkerId,
    key: LeaseKey,
    now: Timestamp,
) -> Result<Effects, StoreError> {
    match lease::find(db.into(), Holder::Lease(key)).await? {
        Some(lease) if lease.worker == worker => {
            Ok(requeue::requeue(db.into(), &lease, Fate::Returned, now).await?.into_parts().1)
        }
        _ => Ok(Effects::default()),
    }
}

/// Assigns tasks to the agents that want some; returns them, and the classes of the agents, by the position of the agent in
/// the batch.
async fn assign_all(
    db: Session<'_>,
    shares: &SharedFairShare,
    batch: &[Arc<Exchange>],
    participants: &Participants,
    at: Moment,
) -> Result<(HashMap<usize, Vec<Work>>, HashMap<usize, Class>), StoreError> {
    let mut given: HashMap<usize, Vec<Work>> = HashMap::new();
    let mut rounds = Rounds::plan(db.into(), batch, participants, at.now).await?;
    // Leases are inserted before the next tasks are selected: it would find the same ones, since a transaction does not
    // skip its own locks.
    while let Some(selected) = rounds.next(db.into(), shares, at.now).await? {
        let (places, selected): (Vec<usize>, Vec<Ready>) = selected.into_iter().unzip();
        let places_of: HashMap<TaskId, usize> = selected.iter().map(|ready| ready.task).zip(places).collect();
        let to: Vec<(WorkerId, LeaseToken)> = selected
            .iter()
            .map(|ready| &batch[places_of[&ready.task]])
            .map(|one| (one.worker, one.token))
            .collect();
        for (_, work) in claim::assign(db, &selected, &to, at).await? {
            given.entry(places_of[&work.lease.task]).or_default().push(work);
        }
    }
    Ok((given, rounds.classes()))
}

const TOUCH_ALL: &str = "UPDATE worker SET updated_at = $2 WHERE id = ANY($1)";

async fn update_workers(
    db: Session<'_>,
    batch: &[Arc<Exchange>],
    participants: &Participants,
    verdicts: &[Vec<Verdict>],
    work: &HashMap<usize, Vec<Work>>,
    now: Timestamp,
) -> Result<Effects, StoreError> {
    let mut effects = Effects::default();
    let state = |worker| participants.get(&worker).map(|participant| participant.worker.state);
    let mut changed: Vec<i64> = Vec::new();
    for (worker, update) in worker_updates(batch, state, verdicts, work) {
        match update {
            WorkerUpdate::Touch => changed.push(worker.0),
            WorkerUpdate::RemoveIfDrained => {
                effects.add(workers::after_commit(db.into(), &participants[&worker].worker, now).await?);
            }
        }
    }
    if !changed.is_empty() {
        db.run(TOUCH_ALL, &[&changed, &now.unix_micros()]).await?;
    }
    Ok(effects)
}
