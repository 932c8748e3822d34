//! The facts that explain the state of a task.

use async_trait::async_trait;
use mitosis_domain::explain::{Ahead, EligibleWorkers, Facts, Hold, Holder, Nearest, Standing, Watched};
use mitosis_domain::ids::TaskId;
use mitosis_domain::task::{Attempt, ExecEnd, Phase, Task};
use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{ExecState, Role};
use uuid::Uuid;

use super::jobs::elements::needs;
use super::limits;
use super::tasks::get;
use super::workers::hosts;
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, Json, Row, Sql, only, sql};
use crate::enum_codes::{Code, row_count};
use crate::error::Corrupt;
use crate::ops::explain::Explain;

#[async_trait]
impl<B: Backend> Explain for B {
    async fn facts(&self, uuid: Uuid) -> Result<Option<Facts>, StoreError> {
        self.read_snapshot_for_user(uuid, |db, uuid| Box::pin(facts(db, *uuid))).await
    }
}

async fn facts(db: Db<'_>, uuid: Uuid) -> Result<Option<Facts>, StoreError> {
    let Some(task) = get::by_uuid(db, uuid).await? else { return Ok(None) };
    let standing = standing(db, &task).await?;
    let host = match worker(&task.phase) {
        Some(worker) => hosts::of(db, worker).await?,
        None => None,
    };
    Ok(Some(Facts { uuid, group: task.group_name, tags: task.tags, standing, host }))
}

/// The worker that holds or last held a task.
fn worker(phase: &Phase) -> Option<Uuid> {
    match phase {
        Phase::Pending | Phase::Ready => None,
        Phase::Running(attempt) | Phase::Reported(attempt, _) => Some(attempt.worker),
        Phase::Ended(ending) => ending.reporter,
    }
}

async fn standing(db: Db<'_>, task: &Task) -> Result<Standing, StoreError> {
    match &task.phase {
        Phase::Pending => {
            if let Some((job, index)) = needs::blocked_by(db, task.id).await? {
                return Ok(Standing::Blocked { job, index });
            }
            let upstream = task.upstream.ok_or(Corrupt::NoPhase(task.id.0))?;
            let phase = get::by_uuid(db, upstream).await?.ok_or(Corrupt::NoPhase(task.id.0))?.phase;
            Ok(Standing::Pending { upstream, state: phase.state() })
        }
        Phase::Ready => match hold(db, task.id).await? {
            Some((job, hold)) => Ok(Standing::OnHold { job, hold }),
            None => match limits::exhausted(db, task.id.0).await? {
                Some(at_limit) => Ok(Standing::AtLimit(at_limit)),
                None => Ok(Standing::Ready {
                    workers: eligible_workers(db, task).await?,
                    ahead: ahead(db, task.id).await?,
                }),
            },
        },
        Phase::Running(attempt) => held(db, task, *attempt, None).await,
        Phase::Reported(attempt, end) => held(db, task, *attempt, Some(*end)).await,
        Phase::Ended(ending) => Ok(Standing::Ended(ending.clone())),
    }
}

const HELD_BY_JOB: Sql = sql!(
    "
    SELECT r.held_until, j.id, j.paused, j.max_running
    FROM ready r INNER JOIN task t ON t.id = r.task_id INNER JOIN job j ON j.id = t.job_id
    WHERE r.task_id = $1 AND r.held"
);

/// The job that does not let a waiting task start, and why.
async fn hold(db: Db<'_>, task: TaskId) -> Result<Option<(i64, Hold)>, StoreError> {
    let found = db
        .optional(HELD_BY_JOB, &[&task.0], |row| {
            let until = row.optional_time("held_until")?;
            let most: Option<i64> = row.value("max_running")?;
            let hold = match (row.value("paused")?, until, most) {
                (true, _, _) => Some(Hold::Paused),
                (false, Some(due), _) => Some(Hold::Retry(due)),
                (false, None, Some(most)) => Some(Hold::Limit(most.unsigned_abs())),
                // A coordinator is about to release it.
                (false, None, None) => None,
            };
            Ok((row.value::<i64>("id")?, hold))
        })
        .await?;
    Ok(found.and_then(|(job, hold)| Some((job, hold?))))
}

/// The numbers of workers that list the group of a task, by what they can do.
const ELIGIBLE_WORKERS: Sql = sql!(
    postgres: "
    SELECT count(*) AS listed,
        count(*) FILTER (WHERE serves) AS serving,
        count(*) FILTER (WHERE fits) AS fitting,
        count(*) FILTER (WHERE fits AND stopping) AS draining,
        count(*) FILTER (WHERE fits AND NOT stopping AND has_room) AS free,
        max(last_heartbeat) FILTER (WHERE fits AND NOT stopping) AS heard_at,
        max(last_heartbeat) FILTER (WHERE fits AND NOT stopping AND has_room) AS free_heard_at,
        max(lease_until) FILTER (WHERE fits AND NOT stopping AND has_room) AS free_until,
        max(silent_at) FILTER (WHERE fits AND NOT stopping AND has_room) AS free_silent_at
    FROM (
        SELECT member.role >= $2 AS serves,
            member.role >= $2 AND worker.tags @> $3 AS fits,
            worker.state = $4 AS stopping,
            (SELECT count(*) FROM lease WHERE lease.worker_id = worker.id) < coalesce(worker.slots, 1)
                AS has_room,
            session.last_heartbeat, session.lease_until + clock.lag AS lease_until,
            session.lease_until - session.lease + session.missed_after + clock.lag AS silent_at
        FROM worker_group member
        JOIN worker ON worker.id = member.worker_id
        JOIN worker_session session ON session.worker_id = worker.id
        CROSS JOIN lease_clock clock
        WHERE member.group_id = $1) eligible",
    sqlite: "
    SELECT count(*) AS listed,
        count(*) FILTER (WHERE serves) AS serving,
        count(*) FILTER (WHERE fits) AS fitting,
        count(*) FILTER (WHERE fits AND stopping) AS draining,
        count(*) FILTER (WHERE fits AND NOT stopping AND has_room) AS free,
        max(last_heartbeat) FILTER (WHERE fits AND NOT stopping) AS heard_at,
        max(last_heartbeat) FILTER (WHERE fits AND NOT stopping AND has_room) AS free_heard_at,
        max(lease_until) FILTER (WHERE fits AND NOT stopping AND has_room) AS free_until,
        max(silent_at) FILTER (WHERE fits AND NOT stopping AND has_room) AS free_silent_at
    FROM (
        SELECT member.role >= ?2 AS serves,
            -- The worker has all tags of the task.
            member.role >= ?2 AND (worker.tags = ?3 OR NOT EXISTS (
                SELECT value FROM json_each(?3) EXCEPT SELECT value FROM json_each(worker.tags))) AS fits,
            worker.state = ?4 AS stopping,
            (SELECT count(*) FROM lease WHERE lease.worker_id = worker.id) < coalesce(worker.slots, 1)
                AS has_room,
            session.last_heartbeat, session.lease_until + clock.lag AS lease_until,
            session.lease_until - session.lease + session.missed_after + clock.lag AS silent_at
        FROM worker_group member
        CROSS JOIN worker ON worker.id = member.worker_id
        CROSS JOIN worker_session session ON session.worker_id = worker.id
        CROSS JOIN lease_clock clock
        WHERE member.group_id = ?1)",
);

/// The worker that serves the group and lacks the fewest tags, the oldest if there are several.
const NEAREST: Sql = sql!(
    postgres: "
    SELECT worker.uuid, lack.missing
    FROM worker_group member
    JOIN worker ON worker.id = member.worker_id
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(tag), '[]') AS missing
        FROM jsonb_array_elements_text($3) tag
        WHERE NOT worker.tags ? tag) lack
    WHERE member.group_id = $1 AND member.role >= $2
    ORDER BY jsonb_array_length(lack.missing), worker.id LIMIT 1",
    sqlite: "
    SELECT worker.uuid,
        (SELECT json_group_array(lacked.value) FROM (
            SELECT value FROM json_each(?3) EXCEPT SELECT value FROM json_each(worker.tags)) lacked) AS missing
    FROM worker_group member
    CROSS JOIN worker ON worker.id = member.worker_id
    WHERE member.group_id = ?1 AND member.role >= ?2
    ORDER BY json_array_length(missing), worker.id LIMIT 1",
);

async fn eligible_workers(db: Db<'_>, task: &Task) -> Result<EligibleWorkers, StoreError> {
    let (group, tags, least) = (task.group.0, Json(&task.tags), Role::Write.code());
    let stopping = WorkerState::GracefulShutdown.code();
    let mut workers =
        db.one(ELIGIBLE_WORKERS, &[&group, &least, &tags, &stopping], read_eligible_workers).await?;
    if workers.serving > 0 && workers.fitting == 0 {
        workers.nearest = db
            .optional(NEAREST, &[&group, &least, &tags], |row| {
                Ok(Nearest { worker: row.value("uuid")?, missing: row.tag_set("missing")? })
            })
            .await?;
    }
    Ok(workers)
}

fn read_eligible_workers(row: &Row<'_>) -> Result<EligibleWorkers, StoreError> {
    let count = |column| Ok::<_, StoreError>(row.value::<i64>(column)?.unsigned_abs());
    Ok(EligibleWorkers {
        listed: count("listed")?,
        serving: count("serving")?,
        fitting: count("fitting")?,
        draining: count("draining")?,
        free: count("free")?,
        heard_at: row.optional_time("heard_at")?,
        free_heard_at: row.optional_time("free_heard_at")?,
        free_until: row.optional_time("free_until")?,
        free_silent_at: row.optional_time("free_silent_at")?,
        nearest: None,
    })
}

const POSITION: Sql = sql!("SELECT lane_id, neg_priority FROM ready WHERE task_id = $1");

/// Counts with the primary key, up to a limit.
const AHEAD: Sql = sql!(
    "
    SELECT count(*) FROM (
        SELECT 1 FROM ready
        WHERE lane_id = $1 AND held = FALSE AND (neg_priority, task_id) < ($2, $3)
        ORDER BY neg_priority, task_id LIMIT $4) ahead"
);

async fn ahead(db: Db<'_>, task: TaskId) -> Result<Ahead, StoreError> {
    let (lane, neg_priority) = db
        .one(POSITION, &[&task.0], |row| {
            Ok((row.value::<i64>("lane_id")?, row.value::<i32>("neg_priority")?))
        })
        .await?;
    let most = row_count(Ahead::COUNTED + 1);
    let counted: i64 = db.one(AHEAD, &[&lane, &neg_priority, &task.0, &most], only).await?;
    Ok(Ahead::new(counted.unsigned_abs()))
}

const HOLDER: Sql = sql!(
    "
    SELECT session.last_heartbeat, session.lease_until + clock.lag AS lease_until,
        session.lease_until - session.lease + session.missed_after + clock.lag AS silent_at, worker.state
    FROM lease
    INNER JOIN worker ON worker.id = lease.worker_id
    INNER JOIN worker_session session ON session.worker_id = lease.worker_id
    CROSS JOIN lease_clock clock
    WHERE lease.task_id = $1"
);

async fn held(
    db: Db<'_>,
    task: &Task,
    attempt: Attempt,
    reported: Option<ExecEnd>,
) -> Result<Standing, StoreError> {
    let holder = db
        .one(HOLDER, &[&task.id.0], |row| {
            Ok(Holder {
                heard_at: row.time("last_heartbeat")?,
                lease_until: row.time("lease_until")?,
                silent_at: row.time("silent_at")?,
                state: row.code("state")?,
            })
        })
        .await?;
    let watched = match task.spec.watch {
        Some((uuid, target)) => Some(watched(db, uuid, target).await?),
        None => None,
    };
    Ok(Standing::Held { attempt, reported, holder, watched })
}

async fn watched(db: Db<'_>, uuid: Uuid, target: ExecState) -> Result<Watched, StoreError> {
    let found = get::by_uuid(db, uuid).await?.map(Into::into);
    Ok(Watched { uuid, target, found })
}
