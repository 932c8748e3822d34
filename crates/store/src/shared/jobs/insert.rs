//! The rows of new jobs.

use mitosis_domain::ids::{JobId, LimitSetId, TaskId, UserId};
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{NeedKind, StopCause};

use super::super::tasks::insert::Slot;
use super::super::webhooks::write as webhooks;
use super::artifacts::FetchedArtifact;
use crate::db::{Db, Json, Params, Sql, only, sql, to_json};
use crate::enum_codes::Code;
use crate::ops::jobs::NewJob;
use crate::{StoreError, postgres, sqlite};

/// A job to insert.
#[derive(Debug)]
pub(super) struct JobRow<'a> {
    pub(super) id: JobId,
    pub(super) creator: UserId,
    pub(super) key: Option<&'a str>,
    pub(super) job: &'a NewJob,
    pub(super) limits: Option<LimitSetId>,
    pub(super) first_id: TaskId,
    pub(super) first_number: i64,
    pub(super) written: u64,
    pub(super) dependencies: Vec<Dependency>,
}

/// A dependency to insert.
#[derive(Debug, Clone)]
pub(super) struct Dependency {
    pub(super) on: JobId,
    pub(super) kind: NeedKind,
    pub(super) status: Status,
    /// Its bit in the rows of tasks, for [`NeedKind::Each`].
    pub(super) mask: i64,
    /// What the tasks fetch from the other job.
    pub(super) artifacts: Vec<FetchedArtifact>,
}

/// The status of a dependency at the time of the submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// The other job has not ended.
    Open,
    /// It has ended as required.
    Met,
    /// It has ended otherwise.
    Failed,
}

impl JobRow<'_> {
    /// The slot of the task at a position from 0.
    pub(super) fn slot(&self, at: i64) -> Slot {
        let reserved = Some((TaskId(self.first_id.0 + at), self.id));
        Slot { reserved, limits: self.limits, ..Slot::single(self.first_number + at) }
    }
}

/// Reserves consecutive ids of tasks; returns the first.
pub(super) async fn reserve_ids(db: Db<'_>, count: i64) -> Result<i64, StoreError> {
    match db {
        Db::Postgres(db) => postgres::tasks::insert::reserve_ids(db, count).await,
        Db::Sqlite(db) => sqlite::tasks::insert::reserve_ids(db, count),
    }
}

const DRAW_JOB_ID: Sql = sql!(
    postgres: "SELECT nextval(pg_get_serial_sequence('job', 'id'))",
    sqlite: "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'job'",
);

const DRAW_JOB_IDS: &str = "SELECT id FROM (SELECT nextval(pg_get_serial_sequence('job', 'id')) AS id FROM generate_series(1, $1)) AS drawn ORDER BY id";

/// Draws the numbers of jobs, in increasing order.
pub(super) async fn draw_job_ids(db: Db<'_>, count: usize) -> Result<Vec<JobId>, StoreError> {
    if let (Db::Postgres(db), true) = (db, count > 1) {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        return db.all(DRAW_JOB_IDS, &[&count], |row| row.get(0).map(JobId)).await;
    }
    let first: i64 = db.one(DRAW_JOB_ID, &[], only).await?;
    Ok((first..).take(count).map(JobId).collect())
}

const INSERT_JOB: Sql = sql!(
    postgres: "
    INSERT INTO job (id, group_id, creator_id, name, labels, priority, blueprint, size, first_id, first_number,
                     written, paused, stop_cause, stop_job_id, unmet, start_after, expires_at, max_running,
                     max_failures, created_at, updated_at, retry, submission_key, limits, limit_set_id)
    OVERRIDING SYSTEM VALUE
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $20, $21, $22, $23, $24)",
    sqlite: "
    INSERT INTO job (id, group_id, creator_id, name, labels, priority, blueprint, size, first_id, first_number,
                     written, paused, stop_cause, stop_job_id, unmet, start_after, expires_at, max_running,
                     max_failures, created_at, updated_at, retry, submission_key, limits, limit_set_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?20, ?21, ?22, ?23, ?24)",
);

/// Inserts jobs with their dependencies.
pub(super) async fn jobs(db: Db<'_>, rows: &[JobRow<'_>], now: Timestamp) -> Result<(), StoreError> {
    if let Db::Postgres(_) = db {
        // All statements are sent before the first reply has arrived.
        futures_util::future::try_join_all(rows.iter().map(|row| insert(db, row, now))).await?;
    } else {
        for row in rows {
            insert(db, row, now).await?;
        }
    }
    insert_dependencies(db, rows).await
}

async fn insert(db: Db<'_>, row: &JobRow<'_>, now: Timestamp) -> Result<(), StoreError> {
    let JobRow { id, creator, key, job, limits, first_id, first_number, written, dependencies } = row;
    let failed = dependencies.iter().find(|dependency| dependency.status == Status::Failed);
    let is_unmet = |need: &&Dependency| need.status != Status::Met && need.kind != NeedKind::Each;
    let unmet = dependencies.iter().filter(is_unmet).count();
    let options = &job.options;
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let params: Params<'_> = &[
        &id.0,
        &job.group.0,
        &creator.0,
        &job.name,
        &Json(&job.labels),
        &job.priority,
        &&*job.blueprint,
        &count(job.size),
        &first_id.0,
        first_number,
        &count(*written),
        &options.paused,
        &failed.map(|_| StopCause::DependencyFailed.code()),
        &failed.map(|dependency| dependency.on.0),
        &count(unmet as u64),
        &options.start_after.map(Timestamp::unix_micros),
        &options.expires_at.map(Timestamp::unix_micros),
        &options.max_running.map(count),
        &options.max_failures.map(count),
        &now.unix_micros(),
        &job.retry.as_ref().map(Json),
        key,
        &(!job.limits.is_empty()).then_some(Json(&job.limits)),
        &limits.map(|set| set.0),
    ];
    db.run_one(INSERT_JOB, params).await?;
    webhooks::plan(db, *id, &job.notify).await
}

const INSERT_DEPENDENCY: Sql = sql!(
    "
    INSERT INTO job_dependency (job_id, needed_id, kind, met, mask, artifacts) VALUES ($1, $2, $3, $4, $5, $6)"
);

/// All of them with one statement.
const INSERT_DEPENDENCIES: &str = "
    INSERT INTO job_dependency (job_id, needed_id, kind, met, mask, artifacts)
    SELECT job_id, needed_id, kind, met, mask, artifacts::json
    FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::boolean[], $5::bigint[], $6::text[])
        AS new (job_id, needed_id, kind, met, mask, artifacts)";

async fn insert_dependencies(db: Db<'_>, rows: &[JobRow<'_>]) -> Result<(), StoreError> {
    let all: Vec<(JobId, &Dependency)> =
        rows.iter().flat_map(|row| row.dependencies.iter().map(|dependency| (row.id, dependency))).collect();
    if all.is_empty() {
        return Ok(());
    }
    let Db::Postgres(session) = db else {
        for (job, need) in all {
            let artifacts = (!need.artifacts.is_empty()).then_some(Json(&need.artifacts));
            let met = need.status == Status::Met;
            let params: Params<'_> = &[&job.0, &need.on.0, &need.kind.code(), &met, &need.mask, &artifacts];
            db.run_one(INSERT_DEPENDENCY, params).await?;
        }
        return Ok(());
    };
    let jobs: Vec<i64> = all.iter().map(|(job, _)| job.0).collect();
    let needed: Vec<i64> = all.iter().map(|(_, need)| need.on.0).collect();
    let kinds: Vec<i16> = all.iter().map(|(_, need)| need.kind.code()).collect();
    let met: Vec<bool> = all.iter().map(|(_, need)| need.status == Status::Met).collect();
    let masks: Vec<i64> = all.iter().map(|(_, need)| need.mask).collect();
    let artifacts = all.iter().map(|(_, need)| match need.artifacts.is_empty() {
        true => Ok(None),
        false => to_json(&need.artifacts).map(Some),
    });
    let artifacts: Vec<Option<String>> = artifacts.collect::<Result<_, _>>()?;
    session.run(INSERT_DEPENDENCIES, &[&jobs, &needed, &kinds, &met, &masks, &artifacts]).await.map(drop)
}
