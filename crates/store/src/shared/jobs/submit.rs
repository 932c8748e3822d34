//! Submission of jobs, all or none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mitosis_domain::ids::{GroupId, JobId, TaskId, UserId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{NeedKind, NeededJob};
use uuid::Uuid;

use super::super::limits::UsedLimits;
use super::super::rights;
use super::super::tasks::insert::{NewRow, draw_all_numbers, insert_ready};
use super::super::tasks::submit::{Reserved, delete_key, reserve_key, store_ids};
use super::artifacts::FetchedArtifact;
use super::counts::{self, CountChanges};
use super::insert::{self, JobRow};
use crate::StoreError;
use crate::db::{Db, List, Sql, sql};
use crate::ops::jobs::{CountChange, JobSubmission, NewJob};
use crate::ops::tasks::{IdempotencyKey, TaskIds};
use crate::ops::{Actor, Changed, Effects};

/// A new job with the rows of its first tasks.
#[derive(Debug)]
pub(crate) struct PreparedJob {
    pub(crate) job: NewJob,
    pub(crate) rows: Vec<NewRow>,
}

impl PreparedJob {
    /// Converts the tasks of a job before the transaction begins.
    pub(crate) async fn new(job: &NewJob) -> Result<Self, StoreError> {
        Ok(Self { job: job.without_tasks(), rows: NewRow::of_all(&job.first).await? })
    }
}

/// Inserts the jobs, unless the key was used before.
pub(super) async fn submit(
    db: Db<'_>,
    creator: UserId,
    jobs: &[PreparedJob],
    key: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Result<Changed<JobSubmission>, StoreError> {
    if let Some(key) = key {
        match reserve_key(db, creator, key, now).await? {
            Reserved::New => {}
            Reserved::Earlier(ids) => {
                return Ok(Changed::nothing(JobSubmission::Replayed(from_stored(&ids))));
            }
            Reserved::ForOther => return Ok(Changed::nothing(JobSubmission::KeyReused)),
        }
    }
    let submission = accept(db, creator, jobs, key.map(|key| &*key.key), now).await?;
    if let Some(key) = key {
        match submission.value() {
            JobSubmission::Accepted(ids) => store_ids(db, creator, key, &to_stored(ids)).await?,
            // The key can be used again.
            _ => delete_key(db, creator, key).await?,
        }
    }
    Ok(submission)
}

/// The numbers of jobs in the form in which the ids of tasks are stored.
fn to_stored(jobs: &[JobId]) -> Vec<Option<TaskIds>> {
    jobs.iter().map(|job| Some(TaskIds { uuid: Uuid::nil(), number: job.0 })).collect()
}

fn from_stored(ids: &[Option<TaskIds>]) -> Vec<JobId> {
    ids.iter().flatten().map(|ids| JobId(ids.number)).collect()
}

/// Inserts the jobs, if the creator may submit them.
pub(crate) async fn accept(
    db: Db<'_>,
    creator: UserId,
    jobs: &[PreparedJob],
    key: Option<&str>,
    now: Timestamp,
) -> Result<Changed<JobSubmission>, StoreError> {
    let references: Vec<Uuid> = jobs.iter().flat_map(|new| new.job.references.iter().copied()).collect();
    if !rights::may_see_all(db, creator, &references).await? {
        return Ok(Changed::nothing(JobSubmission::Denied));
    }
    let needed = match lock_needed(db, creator, jobs).await? {
        Ok(needed) => needed,
        Err(unknown) => return Ok(Changed::nothing(JobSubmission::UnknownJob(unknown))),
    };
    if let Some(refusal) = unfitting(jobs, &needed) {
        return Ok(Changed::nothing(refusal));
    }
    let sizes = jobs.iter().map(|new| (new.job.group, signed(new.job.size)));
    let Some(mut numbers) = draw_all_numbers(db, creator, sizes).await? else {
        return Ok(Changed::nothing(JobSubmission::Denied));
    };
    let too_high = jobs.iter().find_map(|new| numbers[&new.job.group].refuse(new.job.priority));
    let uses = || jobs.iter().map(|new| (new.job.group, &new.job.limits[..]));
    let sets = match too_high {
        Some(refusal) => Err(refusal),
        None => UsedLimits::lock(db, uses()).await?.sets(db, uses()).await?,
    };
    let sets = match sets {
        Ok(sets) => sets,
        Err(refusal) => return Ok(Changed::nothing(JobSubmission::Refused(refusal))),
    };
    let total: u64 = jobs.iter().map(|new| new.job.size).sum();
    let mut next_id = insert::reserve_ids(db, signed(total)).await?;
    let ids = insert::draw_job_ids(db, jobs.len()).await?;
    let mut rows = Vec::with_capacity(jobs.len());
    for ((new, id), limits) in jobs.iter().zip(&ids).zip(sets) {
        let number = numbers.get_mut(&new.job.group).expect("every group has numbers");
        let number = &mut number.first;
        let row = JobRow {
            id: *id,
            creator,
            key,
            job: &new.job,
            limits,
            first_id: TaskId(next_id),
            first_number: *number,
            written: new.rows.len() as u64,
            dependencies: dependencies(new, &ids, &needed),
        };
        *number += signed(new.job.size);
        next_id += signed(new.job.size);
        rows.push(row);
    }
    insert::jobs(db, &rows, now).await?;
    counts::note_needed(db, &needed_one_by_one(jobs, &needed)).await?;
    let mut effects = insert_first_tasks(db, creator, jobs, &rows, now).await?;
    effects.jobs.clone_from(&ids);
    Ok(effects.with(JobSubmission::Accepted(ids)))
}

/// Inserts the tasks that come with the jobs.
async fn insert_first_tasks(
    db: Db<'_>,
    creator: UserId,
    jobs: &[PreparedJob],
    rows: &[JobRow<'_>],
    now: Timestamp,
) -> Result<Effects, StoreError> {
    let (mut tasks, mut slots, mut counts) = (Vec::new(), Vec::new(), CountChanges::default());
    for (new, row) in jobs.iter().zip(rows) {
        tasks.extend(new.rows.iter().cloned());
        slots.extend((0..signed(row.written)).map(|at| row.slot(at)));
        counts.add(Some(row.id), CountChange { waiting: signed(row.written), ..CountChange::default() });
    }
    if tasks.is_empty() {
        return Ok(Effects::default());
    }
    insert_ready(db, creator, &tasks, &slots, now).await?;
    let mut effects = counts.write(db).await?;
    effects.ready = true;
    Ok(effects)
}

/// An existing job that a new one needs.
#[derive(Debug, Clone, Copy)]
struct Needed {
    group: GroupId,
    tasks: u64,
    ended: Option<Succeeded>,
}

/// Whether all tasks of an ended job succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Succeeded {
    All,
    NotAll,
}

/// The lock makes the end of the job come either before or after.
const LOCK_NEEDED: &str = "SELECT 1 FROM job WHERE id = ANY($1) ORDER BY id FOR SHARE";

const NEEDED: Sql = sql!(
    "
    SELECT j.id, j.group_id, j.size, j.ended_at IS NOT NULL AS ended,
           coalesce((SELECT sum(succeeded) FROM job_count c WHERE c.job_id = j.id), 0) >= j.size AS succeeded
    FROM job j WHERE j.id = ANY($1)"
);

/// Locks the existing jobs that are needed; an error is the first one that the creator can't see.
async fn lock_needed(
    db: Db<'_>,
    creator: UserId,
    jobs: &[PreparedJob],
) -> Result<Result<HashMap<i64, Needed>, i64>, StoreError> {
    let mut ids: Vec<i64> = jobs
        .iter()
        .flat_map(|new| {
            let sources = new.job.resources.iter().map(|resource| resource.from);
            new.job.needs.iter().map(|need| need.on).chain(sources)
        })
        .filter_map(|on| match on {
            NeededJob::Job(job) => Some(job),
            NeededJob::Position(_) => None,
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Ok(HashMap::new()));
    }
    db.lock(LOCK_NEEDED, &[&List(&ids)]).await?;
    let found: HashMap<i64, Needed> = db
        .all(NEEDED, &[&List(&ids)], |row| {
            let succeeded = if row.value("succeeded")? { Succeeded::All } else { Succeeded::NotAll };
            let ended = row.value::<bool>("ended")?.then_some(succeeded);
            let (group, tasks) = (GroupId(row.value("group_id")?), row.value::<i64>("size")?.unsigned_abs());
            Ok((row.value("id")?, Needed { group, tasks, ended }))
        })
        .await?;
    for id in ids {
        match found.get(&id) {
            Some(needed) if rights::may(db, Actor::User(creator), needed.group, Action::View).await? => {}
            _ => return Ok(Err(id)),
        }
    }
    Ok(Ok(found))
}

/// The number of tasks of a needed job.
fn tasks_of(on: NeededJob, jobs: &[PreparedJob], needed: &HashMap<i64, Needed>) -> (i64, u64) {
    match on {
        NeededJob::Job(job) => (job, needed.get(&job).map_or(0, |needed| needed.tasks)),
        // Refused before with the position.
        NeededJob::Position(position) => (0, jobs[position].job.size),
    }
}

/// Why the number of tasks of a needed job does not fit that of a new one.
fn unfitting(jobs: &[PreparedJob], needed: &HashMap<i64, Needed>) -> Option<JobSubmission> {
    for (position, PreparedJob { job, .. }) in jobs.iter().enumerate() {
        for need in job.needs.iter().filter(|need| need.kind == NeedKind::Each) {
            let (needed, tasks) = tasks_of(need.on, jobs, needed);
            if tasks != job.size {
                return Some(JobSubmission::UnequalLengths { position, needed, tasks });
            }
        }
        for resource in &job.resources {
            let is_each =
                job.needs.iter().any(|need| need.on == resource.from && need.kind == NeedKind::Each);
            let (needed, tasks) = tasks_of(resource.from, jobs, needed);
            if !is_each && tasks != 1 {
                return Some(JobSubmission::SeveralTasks { position, needed, tasks });
            }
        }
    }
    None
}

/// The existing jobs whose tasks new ones need, and whose tasks may be ending now.
fn needed_one_by_one(jobs: &[PreparedJob], needed: &HashMap<i64, Needed>) -> Vec<i64> {
    let needs = jobs.iter().flat_map(|new| &new.job.needs).filter(|need| need.kind == NeedKind::Each);
    let existing = needs.filter_map(|need| match need.on {
        NeededJob::Job(job) => Some(job),
        NeededJob::Position(_) => None,
    });
    let active: BTreeSet<i64> =
        existing.filter(|job| needed.get(job).is_some_and(|needed| needed.ended.is_none())).collect();
    active.into_iter().collect()
}

/// The dependencies of a new job. Of two on the same job, the stricter one counts. A job that fetches an artifact needs the
/// success of its source.
fn dependencies(new: &PreparedJob, ids: &[JobId], needed: &HashMap<i64, Needed>) -> Vec<insert::Dependency> {
    let id = |on: NeededJob| match on {
        NeededJob::Job(job) => JobId(job),
        NeededJob::Position(position) => ids[position],
    };
    let mut kinds: BTreeMap<JobId, NeedKind> = BTreeMap::new();
    for need in &new.job.needs {
        let kind = kinds.entry(id(need.on)).or_insert(need.kind);
        *kind = stricter(*kind, need.kind);
    }
    let mut artifacts: BTreeMap<JobId, Vec<FetchedArtifact>> = BTreeMap::new();
    for resource in &new.job.resources {
        kinds.entry(id(resource.from)).or_insert(NeedKind::Succeeded);
        let artifact = FetchedArtifact { kind: resource.content_type, path: resource.local_path.clone() };
        artifacts.entry(id(resource.from)).or_default().push(artifact);
    }
    let ended = |on: JobId| needed.get(&on.0).and_then(|needed| needed.ended);
    let status = |on, kind| match (ended(on), kind) {
        (None, _) => insert::Status::Open,
        (Some(Succeeded::NotAll), NeedKind::Succeeded) => insert::Status::Failed,
        (Some(_), _) => insert::Status::Met,
    };
    let mut next_bit = 0;
    let mut mask = |kind| {
        let mask = if kind == NeedKind::Each { 1_i64 << next_bit } else { 0 };
        next_bit += i32::from(kind == NeedKind::Each);
        mask
    };
    let each = kinds.into_iter().map(|(on, kind)| insert::Dependency {
        on,
        kind,
        status: status(on, kind),
        mask: mask(kind),
        artifacts: artifacts.remove(&on).unwrap_or_default(),
    });
    each.collect()
}

/// The stricter of two conditions for the same job: with the success of a job, each of its tasks has succeeded.
fn stricter(one: NeedKind, other: NeedKind) -> NeedKind {
    match (one, other) {
        (NeedKind::Succeeded, _) | (_, NeedKind::Succeeded) => NeedKind::Succeeded,
        (NeedKind::Each, _) | (_, NeedKind::Each) => NeedKind::Each,
        (NeedKind::Ended, NeedKind::Ended) => NeedKind::Ended,
    }
}

/// A size as the databases store it.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
