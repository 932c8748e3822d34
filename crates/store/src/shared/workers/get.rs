//! Reading of workers.

use mitosis_domain::ids::{GroupId, UserId, WorkerId};
use mitosis_domain::worker::Worker;
use uuid::Uuid;

use crate::StoreError;
use crate::db::{Db, Json, List, Params, Row, Sql, only, read_count, sql};
use crate::enum_codes::{Code, duration, row_count};
use crate::error::Corrupt;
use crate::ops::query::{BatchSizes, FoundWorkers, WorkerPage, WorkerQuery, approximate_worker_size};

/// The columns of a worker, with its held tasks and their groups as JSON.
macro_rules! select_worker {
    (postgres) => {
        select_worker!(
            "SELECT coalesce(json_agg(json_build_array(t.uuid, t.group_id, (
                 SELECT r.request FROM lane n JOIN resource_request r ON r.id = n.request_id WHERE n.id = t.lane_id)) ORDER BY l.claimed_at, l.task_id), '[]')
             FROM lease l JOIN task t ON t.id = l.task_id WHERE l.worker_id = w.id",
            "JOIN"
        )
    };
    (sqlite) => {
        select_worker!(
            "SELECT json_group_array(json_array(hex(t.uuid), t.group_id, (
                 SELECT r.request FROM lane n JOIN resource_request r ON r.id = n.request_id WHERE n.id = t.lane_id)) ORDER BY l.claimed_at, l.task_id)
             FROM lease l CROSS JOIN task t ON t.id = l.task_id WHERE l.worker_id = w.id",
            "CROSS JOIN"
        )
    };
    ($held:literal, $join:literal) => {
        concat!(
            "SELECT w.id, w.uuid, w.creator_id, u.username AS creator_name, u.state AS creator_state,
                w.tags, w.labels, w.state, w.created_at, w.updated_at, w.slots, w.token_until, w.lost_after, w.offer, w.ends_at,
                s.last_heartbeat, s.lease_until + clock.lag AS lost_at,
                (SELECT h.host FROM worker_host h WHERE h.uuid = w.uuid) AS host,
                (SELECT h.facts FROM worker_host h WHERE h.uuid = w.uuid) AS facts, w.drain_reason,
                s.lease_until - s.lease + s.missed_after + clock.lag AS missed_at, (",
            $held,
            ") AS held FROM worker w ",
            $join,
            " users u ON u.id = w.creator_id ",
            $join,
            " worker_session s ON s.worker_id = w.id CROSS JOIN lease_clock clock "
        )
    };
}

const WORKER_BY_UUID: Sql = sql!(
    postgres: concat!(select_worker!(postgres), "WHERE w.uuid = $1"),
    sqlite: concat!(select_worker!(sqlite), "WHERE w.uuid = ?1"),
);

macro_rules! that_match {
    (postgres) => {
        "JOIN worker_group g ON g.worker_id = w.id AND g.group_id = $1
        WHERE ($2::smallint[] IS NULL OR g.role = ANY($2))
          AND ($3::text IS NULL OR u.username = $3)
          AND w.tags @> $4 AND w.labels @> $5 "
    };
    (sqlite) => {
        "CROSS JOIN worker_group g ON g.worker_id = w.id AND g.group_id = ?1
        WHERE (?2 IS NULL OR g.role IN (SELECT value FROM json_each(?2)))
          AND (?3 IS NULL OR u.username = ?3)
          -- The worker has all requested tags and labels.
          AND NOT EXISTS (SELECT value FROM json_each(?4) EXCEPT SELECT value FROM json_each(w.tags))
          AND NOT EXISTS (SELECT value FROM json_each(?5) EXCEPT SELECT value FROM json_each(w.labels)) "
    };
}

const MATCHING_WORKERS: Sql = sql!(
    postgres: concat!(
        select_worker!(postgres),
        that_match!(postgres),
        "AND w.id > $6 ORDER BY w.id LIMIT $7"
    ),
    sqlite: concat!(select_worker!(sqlite), that_match!(sqlite), "AND w.id > ?6 ORDER BY w.id LIMIT ?7"),
);

const ALL_WORKERS: Sql = sql!(
    postgres: concat!(select_worker!(postgres), "WHERE w.id > $1 ORDER BY w.id LIMIT $2"),
    sqlite: concat!(select_worker!(sqlite), "WHERE w.id > ?1 ORDER BY w.id LIMIT ?2"),
);

const COUNT_MATCHING: Sql = sql!(
    postgres: concat!(
        "SELECT count(*) FROM worker w JOIN users u ON u.id = w.creator_id ",
        that_match!(postgres)
    ),
    sqlite: concat!(
        "SELECT count(*) FROM worker w CROSS JOIN users u ON u.id = w.creator_id ",
        that_match!(sqlite)
    ),
);

/// The worker with this UUID.
pub(super) async fn by_uuid(db: Db<'_>, uuid: Uuid) -> Result<Option<Worker>, StoreError> {
    db.optional(WORKER_BY_UUID, &[&uuid], read).await
}

const OF_OWNER: Sql = sql!("SELECT uuid FROM worker WHERE creator_id = $1 ORDER BY id");

/// The workers that a user has registered.
pub(super) async fn of_owner(db: Db<'_>, owner: UserId) -> Result<Vec<Uuid>, StoreError> {
    db.all(OF_OWNER, &[&owner.0], only).await
}

/// One page of matching workers, or of all.
pub(crate) async fn page(
    db: Db<'_>,
    query: Option<&WorkerQuery>,
    page: WorkerPage,
) -> Result<FoundWorkers, StoreError> {
    let (mut workers, mut batches) = (Vec::new(), BatchSizes::up_to(page.bytes));
    let mut after = page.after.map_or(0, |worker| worker.0);
    while (workers.len() as u64) < page.limit {
        let at_once = row_count(page.limit - workers.len() as u64).min(row_count(batches.next() as u64));
        let portion = match query {
            Some(query) => matching(db, query, after, at_once).await?,
            None => db.all(ALL_WORKERS, &[&after, &at_once], read).await?,
        };
        let is_last = (portion.len() as u64) < at_once.unsigned_abs();
        for worker in portion {
            if !batches.fits(approximate_worker_size(&worker)) {
                return Ok(FoundWorkers { workers, is_complete: false });
            }
            after = worker.id.0;
            workers.push(worker);
        }
        if is_last {
            return Ok(FoundWorkers { workers, is_complete: true });
        }
    }
    Ok(FoundWorkers { workers, is_complete: false })
}

async fn matching(
    db: Db<'_>,
    query: &WorkerQuery,
    after: i64,
    limit: i64,
) -> Result<Vec<Worker>, StoreError> {
    let roles = roles(query);
    let (roles, tags, labels) = (roles.as_deref().map(List), Json(&query.tags), Json(&query.labels));
    let params: Params<'_> = &[&query.group.0, &roles, &query.creator, &tags, &labels, &after, &limit];
    db.all(MATCHING_WORKERS, params, read).await
}

/// The number of matching workers.
pub(super) async fn count(db: Db<'_>, query: &WorkerQuery) -> Result<u64, StoreError> {
    let roles = roles(query);
    let (roles, tags, labels) = (roles.as_deref().map(List), Json(&query.tags), Json(&query.labels));
    let params: Params<'_> = &[&query.group.0, &roles, &query.creator, &tags, &labels];
    db.one(COUNT_MATCHING, params, read_count).await
}

fn roles(query: &WorkerQuery) -> Option<Vec<i16>> {
    query.roles.as_ref().map(|roles| roles.iter().map(|role| role.code()).collect())
}

fn read(row: &Row<'_>) -> Result<Worker, StoreError> {
    let all: Vec<(Uuid, i64, Option<String>)> = row.json("held")?;
    let (mut held, mut held_groups, mut held_requests) = (Vec::new(), Vec::new(), Vec::new());
    for (task, group, request) in all {
        held.push(task);
        held_groups.push(GroupId(group));
        let request =
            request.map(|request| serde_json::from_str(&request)).transpose().map_err(Corrupt::from)?;
        held_requests.push(request.unwrap_or_default());
    }
    Ok(Worker {
        id: WorkerId(row.value("id")?),
        uuid: row.value("uuid")?,
        host: row.value("host")?,
        facts: row.value::<Option<String>>("facts")?.and_then(|facts| serde_json::from_str(&facts).ok()),
        drain_reason: row.value("drain_reason")?,
        creator: UserId(row.value("creator_id")?),
        creator_name: row.value("creator_name")?,
        creator_state: row.code("creator_state")?,
        tags: row.tag_set("tags")?,
        labels: row.tag_set("labels")?,
        state: row.code("state")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        last_heartbeat: row.time("last_heartbeat")?,
        slots: row.value::<Option<i32>>("slots")?.map(i32::unsigned_abs),
        token_until: row.optional_time("token_until")?,
        lost_after: row.value::<Option<i64>>("lost_after")?.map(duration),
        missed_at: row.time("missed_at")?,
        lost_at: row.time("lost_at")?,
        held,
        held_groups,
        held_requests,
        offer: row.optional_json("offer")?,
        ends_at: row.optional_time("ends_at")?,
    })
}
