//! Reading of jobs and of their written tasks.

use mitosis_domain::ids::{GroupId, JobId, TaskId, UserId};
use mitosis_domain::job_plan::{Snapshot, WrittenCounts};
use mitosis_domain::task::{cause, outcome};
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{AttemptCause, AttemptInfo, AttemptOutcome, JobAttempt, JobNeed, JobOptions};
use uuid::Uuid;

use super::elements;
use super::ranges;
use super::reopen::RetriedBy;
use crate::StoreError;
use crate::db::{Db, List, Params, Row, Sql, sql};
use crate::enum_codes::{Code, row_count};
use crate::ops::jobs::{Job, JobQuery, JobTaskRow, JobTasks, StoredBlueprint};
use crate::ops::site::AllJobs;

/// The number of written tasks in one state.
macro_rules! count_of {
    ($column:literal) => {
        concat!(
            "coalesce((SELECT sum(",
            $column,
            ") FROM job_count c WHERE c.job_id = j.id), 0)::bigint AS ",
            $column
        )
    };
}

/// All counts of a job; `j` is its row.
macro_rules! counts {
    () => {
        concat!(
            count_of!("waiting"),
            ", ",
            count_of!("blocked"),
            ", ",
            count_of!("running"),
            ", ",
            count_of!("succeeded"),
            ", ",
            count_of!("failed"),
            ", ",
            count_of!("timed_out"),
            ", ",
            count_of!("cancelled")
        )
    };
}
pub(super) use {count_of, counts};

macro_rules! select_job {
    () => {
        concat!(
            "
    SELECT j.id, j.group_id, g.name AS group_name, j.creator_id, u.username AS creator, j.name, j.labels, j.priority,
           j.size, j.first_id, j.first_number, j.written, j.paused, j.skipped, j.stop_cause, j.stop_job_id, j.unmet,
           j.start_after, j.expires_at, j.max_running, j.max_failures, j.retry, j.limits, j.created_at, j.ended_at,
           EXISTS (SELECT 1 FROM job_dependency x WHERE x.job_id = j.id AND x.kind = 2 AND NOT x.met) AS is_element_wise, ",
            counts!(),
            "
    FROM job j INNER JOIN groups g ON g.id = j.group_id INNER JOIN users u ON u.id = j.creator_id"
        )
    };
}

const JOB: Sql = sql!(concat!(select_job!(), " WHERE j.id = $1"));

const JOBS: Sql = sql!(concat!(
    select_job!(),
    "
    WHERE j.group_id = ANY($1) AND ($2::text IS NULL OR u.username = $2) AND ($3::text IS NULL OR j.name = $3)
      AND (j.ended_at IS NULL OR NOT $4::boolean) AND j.id < $5
    ORDER BY j.id DESC LIMIT $6"
));

const JOBS_BY_ID: Sql = sql!(concat!(
    select_job!(),
    "
    WHERE j.id = ANY($1) AND j.id < $2 ORDER BY j.id DESC LIMIT $3"
));

const ALL_JOBS: Sql = sql!(concat!(
    select_job!(),
    "
    WHERE j.id < $1 AND (j.ended_at IS NULL OR NOT $2::boolean) AND ($3::text IS NULL OR u.username = $3)
      AND ($4::text IS NULL OR g.name = $4)
    ORDER BY j.id DESC LIMIT $5"
));

/// A page of jobs of all groups, newest first.
pub(crate) async fn all_jobs(db: Db<'_>, query: &AllJobs) -> Result<Vec<Job>, StoreError> {
    let before = query.before.map_or(i64::MAX, |job| job.0);
    let params: Params<'_> = &[&before, &query.active, &query.creator, &query.group, &row_count(query.limit)];
    db.all(ALL_JOBS, params, read).await
}

/// The job with this number.
pub(super) async fn job(db: Db<'_>, id: JobId) -> Result<Option<Job>, StoreError> {
    db.optional(JOB, &[&id.0], read).await
}

/// A page of jobs, newest first.
pub(super) async fn jobs(db: Db<'_>, query: &JobQuery) -> Result<Vec<Job>, StoreError> {
    let before = query.before.map_or(i64::MAX, |job| job.0);
    let groups: Vec<i64> = query.groups.iter().map(|group| group.0).collect();
    let Some(ids) = &query.ids else {
        let params: Params<'_> =
            &[&List(&groups), &query.creator, &query.name, &query.active, &before, &row_count(query.limit)];
        return db.all(JOBS, params, read).await;
    };
    let mut found: Vec<Job> =
        db.all(JOBS_BY_ID, &[&List(ids), &before, &row_count(query.limit)], read).await?;
    found.retain(|job| {
        query.groups.contains(&job.group)
            && query.creator.as_ref().is_none_or(|creator| job.creator_name == *creator)
            && (query.name.is_none() || query.name == job.name)
            && !(query.active && job.ended_at.is_some())
    });
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<Job, StoreError> {
    let stop_cause = row.optional_code("stop_cause")?;
    let stop_job = row.value::<Option<i64>>("stop_job_id")?.map(JobId);
    Ok(Job {
        id: JobId(row.value("id")?),
        group: GroupId(row.value("group_id")?),
        group_name: row.value("group_name")?,
        creator: UserId(row.value("creator_id")?),
        creator_name: row.value("creator")?,
        name: row.value("name")?,
        labels: row.tag_set("labels")?,
        priority: row.value("priority")?,
        size: unsigned(row, "size")?,
        written: unsigned(row, "written")?,
        first_id: TaskId(row.value("first_id")?),
        first_number: row.value("first_number")?,
        counts: read_counts(row)?,
        skipped: row.optional_json("skipped")?.unwrap_or_default(),
        stopped: stop_cause.map(|cause| (cause, stop_job)),
        unmet: unsigned(row, "unmet")?,
        is_element_wise: row.value("is_element_wise")?,
        options: read_options(row)?,
        retry: row.optional_json("retry")?,
        limits: row.optional_json("limits")?.unwrap_or_default(),
        created_at: row.time("created_at")?,
        ended_at: row.optional_time("ended_at")?,
    })
}

/// The counts that [`counts!`] selects.
pub(super) fn read_counts(row: &Row<'_>) -> Result<WrittenCounts, StoreError> {
    Ok(WrittenCounts {
        waiting: unsigned(row, "waiting")?,
        blocked: unsigned(row, "blocked")?,
        running: unsigned(row, "running")?,
        succeeded: unsigned(row, "succeeded")?,
        failed: unsigned(row, "failed")?,
        timed_out: unsigned(row, "timed_out")?,
        cancelled: unsigned(row, "cancelled")?,
    })
}

fn read_options(row: &Row<'_>) -> Result<JobOptions, StoreError> {
    let limit = |column| Ok::<_, StoreError>(row.value::<Option<i64>>(column)?.map(i64::unsigned_abs));
    Ok(JobOptions {
        paused: row.value("paused")?,
        start_after: row.optional_time("start_after")?,
        expires_at: row.optional_time("expires_at")?,
        max_running: limit("max_running")?,
        max_failures: limit("max_failures")?,
    })
}

fn unsigned(row: &Row<'_>, column: &str) -> Result<u64, StoreError> {
    Ok(row.value::<i64>(column)?.unsigned_abs())
}

const NEEDS: Sql = sql!(
    "SELECT job_id, needed_id, kind, met FROM job_dependency WHERE job_id = ANY($1) ORDER BY job_id, needed_id"
);

/// What the jobs wait for.
pub(super) async fn needs(db: Db<'_>, ids: &[i64]) -> Result<Vec<(JobId, JobNeed)>, StoreError> {
    db.all(NEEDS, &[&List(ids)], |row| {
        let need = JobNeed { job: row.value("needed_id")?, kind: row.code("kind")?, met: row.value("met")? };
        Ok((JobId(row.value("job_id")?), need))
    })
    .await
}

const BLUEPRINT: Sql = sql!("SELECT blueprint, group_id FROM job WHERE id = $1");

/// What is needed to write tasks of the job.
pub(super) async fn blueprint(db: Db<'_>, id: JobId) -> Result<Option<StoredBlueprint>, StoreError> {
    db.optional(BLUEPRINT, &[&id.0], |row| {
        Ok(StoredBlueprint {
            blueprint: row.value::<String>("blueprint")?.into(),
            group: GroupId(row.value("group_id")?),
        })
    })
    .await
}

const ACTIVE: Sql = sql!("SELECT id FROM job WHERE ended_at IS NULL AND id > $1 ORDER BY id LIMIT $2");

/// Jobs that have not ended.
pub(super) async fn active(db: Db<'_>, after: JobId, limit: u64) -> Result<Vec<JobId>, StoreError> {
    db.all(ACTIVE, &[&after.0, &row_count(limit)], |row| row.get(0).map(JobId)).await
}

const SNAPSHOT: Sql = sql!(concat!(
    "
    SELECT j.size, j.written, j.priority, j.paused, j.stop_cause, j.unmet, j.start_after, j.expires_at, j.max_running,
           j.max_failures, EXISTS (SELECT 1 FROM job_dependency x WHERE x.job_id = j.id AND x.kind = 2) AS is_element_wise,
           EXISTS (SELECT 1 FROM job_dependency x WHERE x.job_id = j.id AND x.artifacts IS NOT NULL) AS is_fetching, ",
    counts!(),
    ",
           (SELECT count(*) FROM ready r WHERE r.held AND r.blocked = 0 AND r.task_id BETWEEN j.first_id AND j.first_id + j.size - 1
                AND (r.held_until IS NULL OR r.held_until <= $2)) AS held,
           (SELECT min(held_until) FROM ready r WHERE r.held AND r.blocked = 0
                AND r.task_id BETWEEN j.first_id AND j.first_id + j.size - 1 AND r.held_until > $2) AS deferred_until
    FROM job j WHERE j.id = $1 AND j.ended_at IS NULL"
));

/// The state for planning.
pub(super) async fn snapshot(db: Db<'_>, id: JobId, now: Timestamp) -> Result<Option<Snapshot>, StoreError> {
    let read = |row: &Row<'_>| {
        let snapshot = Snapshot {
            size: unsigned(row, "size")?,
            written: unsigned(row, "written")?,
            counts: read_counts(row)?,
            held: unsigned(row, "held")?,
            deferred_until: row.optional_time("deferred_until")?,
            stopped: row.optional_code("stop_cause")?,
            reach: None,
            is_fetching: row.value("is_fetching")?,
            unmet: unsigned(row, "unmet")?,
            priority: row.value("priority")?,
            options: read_options(row)?,
        };
        Ok((snapshot, row.value::<bool>("is_element_wise")?))
    };
    let found = db.optional(SNAPSHOT, &[&id.0, &now.unix_micros()], read).await?;
    let Some((snapshot, is_element_wise)) = found else { return Ok(None) };
    if !is_element_wise {
        return Ok(Some(snapshot));
    }
    let reach = elements::needs::reach(db, id, snapshot.size, snapshot.written).await?;
    Ok(Some(Snapshot { reach, ..snapshot }))
}

/// How a task ended, as a number of [`TaskOutcome`](mitosis_protocol::job::TaskOutcome); `d` is its row in `done`. It
/// follows [`mitosis_domain::task::outcome`].
macro_rules! outcome_code {
    () => {
        "CASE WHEN d.message IN (6, 10) THEN 5 WHEN d.message = 1 THEN 4
              WHEN d.message = 2 OR d.state = 4 OR d.exit_status <> 0 THEN 3 ELSE 2 END"
    };
}
pub(super) use outcome_code;

const TASKS: Sql = sql!(concat!(
    "
    SELECT id, uuid, attempt, CAST(condition AS smallint) AS condition FROM (
        SELECT t.id, t.uuid, coalesce(l.epoch, d.epoch, r.epoch, 0) AS attempt,
            CASE WHEN d.task_id IS NOT NULL THEN ",
    outcome_code!(),
    " WHEN l.task_id IS NOT NULL THEN 1 ELSE 0 END AS condition
        FROM task t
        LEFT JOIN done d ON d.task_id = t.id
        LEFT JOIN lease l ON l.task_id = t.id
        LEFT JOIN ready r ON r.task_id = t.id
        WHERE t.id BETWEEN $1 AND $2 AND t.job_id = $3) AS found
    WHERE $4::boolean OR condition = ANY($5)
    ORDER BY id LIMIT $6"
));

/// The range of ids that a job reserved.
pub(super) struct Reserved {
    pub(super) first: i64,
    pub(super) size: u64,
}

const RESERVED: Sql = sql!("SELECT first_id, size FROM job WHERE id = $1");

async fn reserved(db: Db<'_>, id: JobId) -> Result<Option<Reserved>, StoreError> {
    db.optional(RESERVED, &[&id.0], |row| {
        Ok(Reserved { first: row.value("first_id")?, size: unsigned(row, "size")? })
    })
    .await
}

/// Written tasks after an index, in order.
pub(super) async fn tasks(
    db: Db<'_>,
    id: JobId,
    tasks: &JobTasks,
    after: u64,
    limit: u64,
) -> Result<Vec<JobTaskRow>, StoreError> {
    let Some(reserved) = reserved(db, id).await? else { return Ok(Vec::new()) };
    let states: Vec<i32> = tasks.states.iter().map(|state| i32::from(state.code())).collect();
    let mut found: Vec<JobTaskRow> = Vec::new();
    for (from, to) in ranges::ids(&reserved, tasks, after) {
        let missing = limit - found.len() as u64;
        if missing == 0 {
            break;
        }
        let params: Params<'_> =
            &[&from, &to, &id.0, &states.is_empty(), &List(&states), &row_count(missing)];
        let rows: Vec<JobTaskRow> = db
            .all(TASKS, params, |row| {
                let index = (row.value::<i64>("id")? - reserved.first + 1).unsigned_abs();
                let (uuid, attempt, state) =
                    (row.value("uuid")?, row.value("attempt")?, row.code("condition")?);
                Ok(JobTaskRow { index, uuid, state, attempt })
            })
            .await?;
        found.extend(rows);
    }
    Ok(found)
}

/// A cancellation of a waiting task is no attempt: it has no reporter.
const ATTEMPTS: Sql = sql!(
    "
    SELECT epoch, state, exit_status, message, reporter_uuid, claimed_at, finished_at, retried_by,
           wall_micros, cpu_micros, peak_memory, output_bytes,
           (SELECT h.host FROM worker_host h WHERE h.uuid = a.reporter_uuid) AS host
    FROM attempt a WHERE a.task_id = (SELECT id FROM task WHERE uuid = $1)
    UNION ALL
    SELECT epoch, state, exit_status, message, reporter_uuid, claimed_at, finished_at, NULL,
           wall_micros, cpu_micros, peak_memory, output_bytes,
           (SELECT h.host FROM worker_host h WHERE h.uuid = d.reporter_uuid)
    FROM done d WHERE d.task_id = (SELECT id FROM task WHERE uuid = $1) AND d.reporter_uuid IS NOT NULL
    ORDER BY epoch"
);

/// The ids of a job are its own, so nothing else is in their range. An attempt in `lease` has not ended.
const ATTEMPTS_OF_JOB: Sql = sql!(
    "
    SELECT found.*, (SELECT h.host FROM worker_host h WHERE h.uuid = found.reporter_uuid) AS host FROM (
        SELECT task_id, epoch, state, exit_status, message, reporter_uuid, claimed_at, finished_at, retried_by
        FROM attempt WHERE task_id BETWEEN $1 AND $2 AND reporter_uuid IS NOT NULL
        UNION ALL
        SELECT task_id, epoch, state, exit_status, message, reporter_uuid, claimed_at, finished_at, NULL
        FROM done WHERE task_id BETWEEN $1 AND $2 AND reporter_uuid IS NOT NULL
        UNION ALL
        SELECT l.task_id, l.epoch, NULL, 0, NULL, w.uuid, l.claimed_at, NULL, NULL
        FROM lease l INNER JOIN worker w ON w.id = l.worker_id WHERE l.task_id BETWEEN $1 AND $2
        ORDER BY task_id, epoch LIMIT $3) found
    ORDER BY task_id, epoch"
);

/// The attempts of a job that workers have started, of tasks after an index.
pub(super) async fn attempts_of_job(
    db: Db<'_>,
    id: JobId,
    after: u64,
    limit: u64,
) -> Result<Vec<JobAttempt>, StoreError> {
    let Some(reserved) = reserved(db, id).await? else { return Ok(Vec::new()) };
    let after = after.min(reserved.size);
    let from = reserved.first + i64::try_from(after).unwrap_or(i64::MAX);
    let to = reserved.first + i64::try_from(reserved.size).unwrap_or(i64::MAX) - 1;
    db.all(ATTEMPTS_OF_JOB, &[&from, &to, &row_count(limit)], |row| {
        let ended_at = row.optional_time("finished_at")?;
        let outcome = match ended_at {
            Some(_) => Some(attempt_outcome(row)?),
            None => None,
        };
        Ok(JobAttempt {
            index: (row.value::<i64>("task_id")? - reserved.first + 1).unsigned_abs(),
            attempt: row.value("epoch")?,
            worker: row.value("reporter_uuid")?,
            host: row.value("host")?,
            started_at: row.optional_time("claimed_at")?,
            ended_at,
            outcome,
        })
    })
    .await
}

fn attempt_outcome(row: &Row<'_>) -> Result<AttemptOutcome, StoreError> {
    match row.optional_code("retried_by")? == Some(RetriedBy::Loss) {
        true => Ok(AttemptOutcome::Lost),
        false => Ok(outcome(row.code("state")?, row.result()?).into()),
    }
}

/// The ended attempts of a task, oldest first.
pub(super) async fn attempts(db: Db<'_>, task: Uuid) -> Result<Vec<AttemptInfo>, StoreError> {
    db.all(ATTEMPTS, &[&task], |row| {
        let result = row.result()?;
        let outcome = attempt_outcome(row)?;
        let is_lost = outcome == AttemptOutcome::Lost;
        let cause = if is_lost { AttemptCause::Lost } else { cause(row.code("state")?, result) };
        Ok(AttemptInfo {
            attempt: row.value("epoch")?,
            worker: row.value("reporter_uuid")?,
            host: row.value("host")?,
            started_at: row.optional_time("claimed_at")?,
            ended_at: row.time("finished_at")?,
            outcome,
            exit_code: (!is_lost).then(|| i32::from(result.exit_status.shell_code().0)),
            cause: Some(cause),
            usage: row.usage()?,
        })
    })
    .await
}
