//! Submission of jobs, all or none.

use std::collections::{BTreeMap, HashMap};

use mitosis_domain::ids::{GroupId, JobId, TaskId, UserId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{NeedKind, NeededJob};
use uuid::Uuid;

use super::super::rights;
use super::super::tasks::insert::{NewRow, draw_all_numbers, insert_ready};
use super::super::tasks::submit::{Reserved, delete_key, reserve_key, store_ids};
use super::counts::CountChanges;
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
    let sizes = jobs.iter().map(|new| (new.job.group, signed(new.job.size)));
    let Some(mut numbers) = draw_all_numbers(db, creator, sizes).await? else {
        return Ok(Changed::nothing(JobSubmission::Denied));
    };
    let total: u64 = jobs.iter().map(|new| new.job.size).sum();
    let mut next_id = insert::reserve_ids(db, signed(total)).await?;
    let ids = insert::draw_job_ids(db, jobs.len()).await?;
    let mut rows = Vec::with_capacity(jobs.len());
    for (new, id) in jobs.iter().zip(&ids) {
        let number = numbers.get_mut(&new.job.group).expect("every group has numbers");
        let row = JobRow {
            id: *id,
            creator,
            key,
            job: &new.job,
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
    SELECT j.id, j.group_id, j.ended_at IS NOT NULL AS ended,
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
        .flat_map(|new| &new.job.needs)
        .filter_map(|need| match need.on {
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
            Ok((row.value("id")?, Needed { group: GroupId(row.value("group_id")?), ended }))
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

/// The dependencies of a new job. Of two on the same job, the stricter one counts.
fn dependencies(new: &PreparedJob, ids: &[JobId], needed: &HashMap<i64, Needed>) -> Vec<insert::Dependency> {
    let mut kinds: BTreeMap<JobId, NeedKind> = BTreeMap::new();
    for need in &new.job.needs {
        let on = match need.on {
            NeededJob::Job(job) => JobId(job),
            NeededJob::Position(position) => ids[position],
        };
        let kind = kinds.entry(on).or_insert(need.kind);
        if need.kind == NeedKind::Succeeded {
            *kind = NeedKind::Succeeded;
        }
    }
    let ended = |on: JobId| needed.get(&on.0).and_then(|needed| needed.ended);
    let status = |on, kind| match (ended(on), kind) {
        (None, _) => insert::Status::Open,
        (Some(Succeeded::NotAll), NeedKind::Succeeded) => insert::Status::Failed,
        (Some(_), _) => insert::Status::Met,
    };
    kinds.into_iter().map(|(on, kind)| insert::Dependency { on, kind, status: status(on, kind) }).collect()
}

/// A size as the databases store it.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
