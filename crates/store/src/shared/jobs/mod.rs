//! Jobs: submission, late writing of their tasks, progress, and changes.

mod artifacts;
pub(crate) mod auto_retry;
mod cancel;
mod change;
pub(crate) mod counts;
pub(crate) mod elements;
mod insert;
mod ranges;
pub(crate) mod read;
pub(crate) mod remove;
pub(crate) mod reopen;
mod retry;
mod steps;
pub(crate) mod submit;

use async_trait::async_trait;
use mitosis_domain::ids::{JobId, UserId};
use mitosis_domain::job_plan::Snapshot;
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{AttemptInfo, JobAttempt, JobChange, JobNeed, StopCause};
use uuid::Uuid;

use self::submit::PreparedJob;
use super::tasks::insert::NewRow;
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Sql, sql};
use crate::ops::jobs::{
    Job, JobCancellation, JobQuery, JobRemoval, JobRetry, JobSubmission, JobTaskRow, JobTasks, Jobs,
    NeededArtifact, NewJob, StoredBlueprint,
};
use crate::ops::tasks::{IdempotencyKey, NewTask};
use crate::ops::{Actor, Changed};

/// Ensures that no more tasks of a job are written. The first cause stays.
const STOP: Sql = sql!(
    "
    UPDATE job SET stop_cause = $2, updated_at = $3 WHERE id = $1 AND ended_at IS NULL AND stop_cause IS NULL"
);

#[async_trait]
impl<B: Backend> Jobs for B {
    async fn submit_jobs(
        &self,
        creator: UserId,
        jobs: &[NewJob],
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Changed<JobSubmission>, StoreError> {
        let mut prepared = Vec::with_capacity(jobs.len());
        for job in jobs {
            prepared.push(PreparedJob::new(job).await?);
        }
        self.write((creator, prepared, key.cloned(), now), |db, (creator, jobs, key, now)| {
            Box::pin(submit::submit(db, *creator, jobs, key.as_ref(), *now))
        })
        .await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>, StoreError> {
        self.read_for_user(query.clone(), |db, query| Box::pin(read::jobs(db, query))).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.read(id, |db, id| Box::pin(read::job(db, *id))).await
    }

    async fn job_needs(&self, ids: &[JobId]) -> Result<Vec<(JobId, JobNeed)>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        self.read(ids, |db, ids| Box::pin(read::needs(db, ids))).await
    }

    async fn blueprint(&self, id: JobId) -> Result<Option<StoredBlueprint>, StoreError> {
        self.read(id, |db, id| Box::pin(read::blueprint(db, *id))).await
    }

    async fn active_jobs(&self, after: JobId, limit: u64) -> Result<Vec<JobId>, StoreError> {
        self.read((after, limit), |db, (after, limit)| Box::pin(read::active(db, *after, *limit))).await
    }

    async fn job_snapshot(&self, id: JobId, now: Timestamp) -> Result<Option<Snapshot>, StoreError> {
        self.read((id, now), |db, (id, now)| Box::pin(read::snapshot(db, *id, *now))).await
    }

    async fn write_tasks(
        &self,
        id: JobId,
        written: u64,
        tasks: &[NewTask],
        now: Timestamp,
    ) -> Result<Changed<bool>, StoreError> {
        let rows = NewRow::of_all(tasks).await?;
        self.write((id, written, rows, now), |db, (id, written, rows, now)| {
            Box::pin(steps::write(db, *id, *written, rows, *now))
        })
        .await
    }

    async fn release_tasks(&self, id: JobId, count: u64, now: Timestamp) -> Result<Changed<u64>, StoreError> {
        self.write((id, count, now), |db, (id, count, now)| Box::pin(steps::release(db, *id, *count, *now)))
            .await
    }

    async fn end_job(&self, id: JobId, now: Timestamp) -> Result<Changed<bool>, StoreError> {
        self.write((id, now), |db, (id, now)| Box::pin(steps::end(db, *id, *now))).await
    }

    async fn cut_job(&self, id: JobId, by: JobId, now: Timestamp) -> Result<Changed<bool>, StoreError> {
        self.write((id, by, now), |db, (id, by, now)| Box::pin(elements::needs::cut(db, *id, *by, *now)))
            .await
    }

    async fn needed_artifacts(
        &self,
        id: JobId,
        written: u64,
        count: u64,
    ) -> Result<Vec<NeededArtifact>, StoreError> {
        self.read((id, written, count), |db, (id, written, count)| {
            Box::pin(artifacts::needed(db, *id, (*written, *count)))
        })
        .await
    }

    async fn stop_job(
        &self,
        id: JobId,
        cause: StopCause,
        now: Timestamp,
    ) -> Result<Changed<bool>, StoreError> {
        self.write((id, cause, now), |db, (id, cause, now)| Box::pin(steps::stop(db, *id, *cause, *now)))
            .await
    }

    async fn cancel_job(
        &self,
        by: Actor,
        id: JobId,
        tasks: &JobTasks,
        now: Timestamp,
    ) -> Result<Changed<JobCancellation>, StoreError> {
        self.write((by, id, tasks.clone(), now), |db, (by, id, tasks, now)| {
            Box::pin(cancel::cancel(db, *by, *id, tasks, *now))
        })
        .await
    }

    async fn change_job(
        &self,
        by: Actor,
        id: JobId,
        change: &JobChange,
        now: Timestamp,
    ) -> Result<Changed<bool>, StoreError> {
        self.write((by, id, *change, now), |db, (by, id, change, now)| {
            Box::pin(change::change(db, *by, *id, change, *now))
        })
        .await
    }

    async fn retry_job(
        &self,
        by: Actor,
        id: JobId,
        tasks: &JobTasks,
        now: Timestamp,
    ) -> Result<Changed<JobRetry>, StoreError> {
        self.write((by, id, tasks.clone(), now), |db, (by, id, tasks, now)| {
            Box::pin(retry::retry(db, *by, *id, tasks, *now))
        })
        .await
    }

    async fn remove_job(&self, by: Actor, id: JobId, now: Timestamp) -> Result<JobRemoval, StoreError> {
        self.write((by, id, now), |db, (by, id, now)| Box::pin(remove::remove(db, *by, *id, *now))).await
    }

    async fn tasks_of_job(
        &self,
        id: JobId,
        tasks: &JobTasks,
        after: u64,
        limit: u64,
    ) -> Result<Vec<JobTaskRow>, StoreError> {
        self.read_for_user((id, tasks.clone(), after, limit), |db, (id, tasks, after, limit)| {
            Box::pin(read::tasks(db, *id, tasks, *after, *limit))
        })
        .await
    }

    async fn attempts_of_job(
        &self,
        id: JobId,
        after: u64,
        limit: u64,
    ) -> Result<Vec<JobAttempt>, StoreError> {
        self.read_for_user((id, after, limit), |db, (id, after, limit)| {
            Box::pin(read::attempts_of_job(db, *id, *after, *limit))
        })
        .await
    }

    async fn attempts(&self, task: Uuid) -> Result<Vec<AttemptInfo>, StoreError> {
        self.read(task, |db, task| Box::pin(read::attempts(db, *task))).await
    }
}
