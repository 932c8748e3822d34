//! The facts that explain the state of a task.

use async_trait::async_trait;
use mitosis_domain::explain::placement::{Candidate, Placement, place};
use mitosis_domain::explain::{
    Ahead, EligibleWorkers, Facts, Hold, Holder, Nearest, Placed, Standing, Watched,
};
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::tags::TagSet;
use mitosis_domain::task::{Attempt, ExecEnd, Phase, Task};
use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{ExecState, ResourceRequest, Role};
use uuid::Uuid;

use super::jobs::elements::needs;
use super::limits;
use super::tasks::get;
use super::workers::hosts;
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, Json, List, Params, Row, Sql, only, sql};
use crate::enum_codes::{Code, row_count};
use crate::error::Corrupt;
use crate::ops::explain::Explain;

#[async_trait]
impl<B: Backend> Explain for B {
    async fn facts(&self, uuid: Uuid) -> Result<Option<Facts>, StoreError> {
        self.read_snapshot_for_user(uuid, |db, uuid| Box::pin(facts(db, *uuid))).await
    }

    async fn placement(
        &self,
        group: GroupId,
        tags: &TagSet,
        request: &ResourceRequest,
    ) -> Result<Option<Placement>, StoreError> {
        self.read_for_user((group, tags.clone(), request.clone()), |db, (group, tags, request)| {
            Box::pin(placement(db, *group, tags, request, None))
        })
        .await
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
                    placement: placed(db, task).await?,
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

async fn placed(db: Db<'_>, task: &Task) -> Result<Option<Placed>, StoreError> {
    let request = &task.spec.request;
    if request.is_default() {
        return Ok(None);
    }
    let placement = placement(db, task.group, &task.tags, request, Some(task.id)).await?;
    Ok(placement.map(|placement| Placed { request: request.clone(), placement }))
}

/// The workers that serve a group and accept tasks.
const CANDIDATES: Sql = sql!(
    "
    SELECT w.id, w.uuid, w.tags, w.offer, w.slots IS NULL AS is_legacy,
           (SELECT h.host FROM worker_host h WHERE h.uuid = w.uuid) AS host,
           v.lane_id AS reserved_lane,
           (SELECT r.request FROM lane n JOIN resource_request r ON r.id = n.request_id WHERE n.id = v.lane_id)
               AS reserved_request
    FROM worker_group g INNER JOIN worker w ON w.id = g.worker_id LEFT JOIN reservation v ON v.worker_id = w.id
    WHERE g.group_id = $1 AND g.role >= $2 AND w.state = $3
    ORDER BY w.id"
);

/// What each worker holds, the oldest first.
const REQUESTS_OF_WORKERS: Sql = sql!(
    "
    SELECT l.worker_id, coalesce(r.request, '{}') AS request
    FROM lease l INNER JOIN task t ON t.id = l.task_id INNER JOIN lane n ON n.id = t.lane_id
    LEFT JOIN resource_request r ON r.id = n.request_id
    WHERE l.worker_id = ANY($1)
    ORDER BY l.claimed_at, l.task_id"
);

const LANE_OF_TASK: Sql = sql!("SELECT lane_id FROM task WHERE id = $1");

/// Where a task can run that requests certain resources. None if a worker of the legacy protocol can run it, which has one
/// task, whatever it requests, or if no worker has the tags.
async fn placement(
    db: Db<'_>,
    group: GroupId,
    tags: &TagSet,
    request: &ResourceRequest,
    task: Option<TaskId>,
) -> Result<Option<Placement>, StoreError> {
    let lane: Option<i64> = match task {
        Some(task) => Some(db.one(LANE_OF_TASK, &[&task.0], only).await?),
        None => None,
    };
    let params: Params<'_> = &[&group.0, &Role::Write.code(), &WorkerState::Normal.code()];
    let rows: Vec<(i64, bool, Option<Candidate>)> = db
        .all(CANDIDATES, params, |row| {
            let of_worker = row.tag_set("tags")?;
            let has_tags = tags.iter().all(|tag| of_worker.iter().any(|other| other == tag));
            let reserved: Option<i64> = row.value("reserved_lane")?;
            let is_reserved = reserved.is_some() && reserved == lane;
            let candidate = Candidate {
                worker: row.value("uuid")?,
                host: row.value("host")?,
                offer: row.optional_json("offer")?,
                held: Vec::new(),
                is_reserved,
                reserved_for_other: if is_reserved { None } else { row.optional_json("reserved_request")? },
            };
            let is_legacy: bool = row.value("is_legacy")?;
            Ok((row.value("id")?, is_legacy, has_tags.then_some(candidate)))
        })
        .await?;
    let rows: Vec<(i64, bool, Candidate)> =
        rows.into_iter().filter_map(|(id, is_legacy, candidate)| Some((id, is_legacy, candidate?))).collect();
    if rows.is_empty() || rows.iter().any(|(_, is_legacy, _)| *is_legacy) {
        return Ok(None);
    }
    let ids: Vec<i64> = rows.iter().map(|(id, _, _)| *id).collect();
    let held: Vec<(i64, ResourceRequest)> = db
        .all(REQUESTS_OF_WORKERS, &[&List(&ids)], |row| Ok((row.value("worker_id")?, row.json("request")?)))
        .await?;
    let mut candidates: Vec<Candidate> = rows.into_iter().map(|(_, _, candidate)| candidate).collect();
    for (worker, request) in held {
        if let Ok(place) = ids.binary_search(&worker) {
            candidates[place].held.push(request);
        }
    }
    Ok(Some(place(request, &candidates)))
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
            (worker.state = $4 OR worker.drain_reason IS NOT NULL) AS stopping,
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
            (worker.state = ?4 OR worker.drain_reason IS NOT NULL) AS stopping,
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
