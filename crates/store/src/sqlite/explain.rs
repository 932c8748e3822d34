//! What has to be known to explain a task.

use async_trait::async_trait;
use mitosis_domain::explain::{Ahead, EligibleWorkers, Facts, Holder, Nearest, Standing, Watched};
use mitosis_domain::ids::TaskId;
use mitosis_domain::task::{Attempt, ExecEnd, Phase, Task};
use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{ExecState, Role};
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::SqliteStore;
use super::error::Corrupt;
use super::row::{Columns, Run, read_count, to_json};
use super::tasks::get;
use crate::StoreError;
use crate::code::{Code, row_count};
use crate::ops::explain::Explain;

#[async_trait]
impl Explain for SqliteStore {
    async fn facts(&self, uuid: Uuid) -> Result<Option<Facts>, StoreError> {
        self.answer(move |db| facts(db, uuid)).await
    }
}

fn facts(db: &Connection, uuid: Uuid) -> Result<Option<Facts>, StoreError> {
    let Some(task) = get::by_uuid(db, uuid)? else { return Ok(None) };
    let standing = standing(db, &task)?;
    Ok(Some(Facts { uuid, group: task.group_name, tags: task.tags, standing }))
}

fn standing(db: &Connection, task: &Task) -> Result<Standing, StoreError> {
    match &task.phase {
        Phase::Pending => {
            let upstream = task.upstream.ok_or(Corrupt::NoPhase(task.id.0))?;
            let phase = get::by_uuid(db, upstream)?.ok_or(Corrupt::NoPhase(task.id.0))?.phase;
            Ok(Standing::Pending { upstream, state: phase.state() })
        }
        Phase::Ready => Ok(Standing::Ready { crew: crew(db, task)?, ahead: ahead(db, task.id)? }),
        Phase::Running(attempt) => held(db, task, *attempt, None),
        Phase::Reported(attempt, end) => held(db, task, *attempt, Some(*end)),
        Phase::Ended(ending) => Ok(Standing::Ended(ending.clone())),
    }
}

/// Whoever lists the group of a task, counted by what each can do.
const CREW: &str = "
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
            -- no tag that the worker lacks
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
        WHERE member.group_id = ?1)";

/// The worker that serves the group and lacks the fewest tags, the oldest of equals.
const NEAREST: &str = "
    SELECT worker.uuid,
        (SELECT json_group_array(lacked.value) FROM (
            SELECT value FROM json_each(?3) EXCEPT SELECT value FROM json_each(worker.tags)) lacked) AS missing
    FROM worker_group member
    CROSS JOIN worker ON worker.id = member.worker_id
    WHERE member.group_id = ?1 AND member.role >= ?2
    ORDER BY json_array_length(missing), worker.id LIMIT 1";

fn crew(db: &Connection, task: &Task) -> Result<EligibleWorkers, StoreError> {
    let (group, tags, least) = (task.group.0, to_json(&task.tags)?, Role::Write.code());
    let stopping = WorkerState::GracefulShutdown.code();
    let mut crew = db.one(CREW, params![group, least, tags, stopping], read_crew)?;
    if crew.serving > 0 && crew.fitting == 0 {
        crew.nearest = db.optional(NEAREST, params![group, least, tags], |row| {
            Ok(Nearest { worker: row.uuid("uuid")?, missing: row.words("missing")? })
        })?;
    }
    Ok(crew)
}

fn read_crew(row: &Row<'_>) -> Result<EligibleWorkers, StoreError> {
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

const PLACE: &str = "SELECT lane_id, neg_priority FROM ready WHERE task_id = ?1";

/// Straight from the key, and no further than asked.
const AHEAD: &str = "
    SELECT count(*) FROM (
        SELECT 1 FROM ready
        WHERE lane_id = ?1 AND (neg_priority, task_id) < (?2, ?3)
        ORDER BY neg_priority, task_id LIMIT ?4)";

fn ahead(db: &Connection, task: TaskId) -> Result<Ahead, StoreError> {
    let (lane, place): (i64, i64) = db.one(PLACE, [task.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let most = row_count(Ahead::COUNTED + 1);
    Ok(Ahead::new(db.one(AHEAD, params![lane, place, task.0, most], read_count)?))
}

const HOLDER: &str = "
    SELECT session.last_heartbeat, session.lease_until + clock.lag AS lease_until,
        session.lease_until - session.lease + session.missed_after + clock.lag AS silent_at, worker.state
    FROM lease
    CROSS JOIN worker ON worker.id = lease.worker_id
    CROSS JOIN worker_session session ON session.worker_id = lease.worker_id
    CROSS JOIN lease_clock clock
    WHERE lease.task_id = ?1";

fn held(
    db: &Connection,
    task: &Task,
    attempt: Attempt,
    reported: Option<ExecEnd>,
) -> Result<Standing, StoreError> {
    let holder = db.one(HOLDER, [task.id.0], |row| {
        Ok(Holder {
            heard_at: row.time("last_heartbeat")?,
            lease_until: row.time("lease_until")?,
            silent_at: row.time("silent_at")?,
            state: row.code("state")?,
        })
    })?;
    let watched = task.spec.watch.map(|(uuid, target)| watched(db, uuid, target)).transpose()?;
    Ok(Standing::Held { attempt, reported, holder, watched })
}

fn watched(db: &Connection, uuid: Uuid, target: ExecState) -> Result<Watched, StoreError> {
    Ok(Watched { uuid, target, found: get::by_uuid(db, uuid)?.map(Into::into) })
}
