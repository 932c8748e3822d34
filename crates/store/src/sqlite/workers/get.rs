//! Reading workers.

use mitosis_domain::ids::{GroupId, UserId, WorkerId};
use mitosis_domain::worker::Worker;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::super::error::Corrupt;
use super::super::row::{Columns, Run, read_count, to_json};
use crate::StoreError;
use crate::code::{Code, duration, row_count};
use crate::ops::query::{FoundWorkers, Portions, WorkerPage, WorkerQuery, weight_of_worker};

macro_rules! select_worker {
    () => {
        "SELECT w.id, w.uuid, w.creator_id, u.username AS creator_name, u.state AS creator_state,
            w.tags, w.labels, w.state, w.created_at, w.updated_at, w.slots, w.token_until, w.lost_after,
            s.last_heartbeat, s.lease_until + clock.lag AS lost_at,
            s.lease_until - s.lease + s.missed_after + clock.lag AS missed_at,
            (SELECT json_group_array(json_array(hex(t.uuid), t.group_id) ORDER BY l.claimed_at, l.task_id)
             FROM lease l CROSS JOIN task t ON t.id = l.task_id
             WHERE l.worker_id = w.id) AS held
        FROM worker w
        CROSS JOIN users u ON u.id = w.creator_id
        CROSS JOIN worker_session s ON s.worker_id = w.id
        CROSS JOIN lease_clock clock "
    };
}

const WORKER_BY_UUID: &str = concat!(select_worker!(), "WHERE w.uuid = ?1");

macro_rules! that_match {
    () => {
        "CROSS JOIN worker_group g ON g.worker_id = w.id AND g.group_id = ?1
        WHERE (?2 IS NULL OR g.role IN (SELECT value FROM json_each(?2)))
          AND (?3 IS NULL OR u.username = ?3)
          -- nothing asked for that the worker lacks
          AND NOT EXISTS (SELECT value FROM json_each(?4) EXCEPT SELECT value FROM json_each(w.tags))
          AND NOT EXISTS (SELECT value FROM json_each(?5) EXCEPT SELECT value FROM json_each(w.labels)) "
    };
}

const MATCHING_WORKERS: &str =
    concat!(select_worker!(), that_match!(), "AND w.id > ?6 ORDER BY w.id LIMIT ?7");

const COUNT_MATCHING: &str =
    concat!("SELECT count(*) FROM worker w CROSS JOIN users u ON u.id = w.creator_id ", that_match!());

const ID_OF_WORKER: &str = "SELECT id FROM worker WHERE uuid = ?1";

/// The id of the worker of that UUID.
pub(super) fn id_of(db: &Connection, uuid: Uuid) -> Result<Option<WorkerId>, StoreError> {
    db.optional(ID_OF_WORKER, [uuid.as_bytes()], |row| Ok(WorkerId(row.get(0)?)))
}

/// The worker of that UUID.
pub(super) fn by_uuid(db: &Connection, uuid: Uuid) -> Result<Option<Worker>, StoreError> {
    db.optional(WORKER_BY_UUID, [uuid.as_bytes()], read)
}

/// One page of workers that match.
pub(super) fn page(
    db: &Connection,
    query: &WorkerQuery,
    page: WorkerPage,
) -> Result<FoundWorkers, StoreError> {
    let (roles, tags, labels) = (roles(query)?, to_json(&query.tags)?, to_json(&query.labels)?);
    let (mut workers, mut portions) = (Vec::new(), Portions::up_to(page.bytes));
    let mut after = page.after.map_or(0, |worker| worker.0);
    while (workers.len() as u64) < page.limit {
        let at_once = row_count(page.limit - workers.len() as u64).min(row_count(portions.next() as u64));
        let portion: Vec<Worker> = db.all(
            MATCHING_WORKERS,
            params![query.group.0, roles, query.creator, tags, labels, after, at_once],
            read,
        )?;
        let is_last = (portion.len() as u64) < at_once.unsigned_abs();
        for worker in portion {
            if !portions.fits(weight_of_worker(&worker)) {
                return Ok(FoundWorkers { workers, is_whole: false });
            }
            after = worker.id.0;
            workers.push(worker);
        }
        if is_last {
            return Ok(FoundWorkers { workers, is_whole: true });
        }
    }
    Ok(FoundWorkers { workers, is_whole: false })
}

/// How many workers match.
pub(super) fn count(db: &Connection, query: &WorkerQuery) -> Result<u64, StoreError> {
    let (roles, tags, labels) = (roles(query)?, to_json(&query.tags)?, to_json(&query.labels)?);
    db.one(COUNT_MATCHING, params![query.group.0, roles, query.creator, tags, labels], read_count)
}

fn roles(query: &WorkerQuery) -> Result<Option<String>, StoreError> {
    let roles = query.roles.as_ref().map(|roles| {
        let codes: Vec<i16> = roles.iter().map(|role| role.code()).collect();
        to_json(&codes)
    });
    roles.transpose()
}

const OF_OWNER: &str = "SELECT uuid FROM worker WHERE creator_id = ?1 ORDER BY id";

/// The workers that a user has registered.
pub(super) fn of_owner(db: &Connection, owner: UserId) -> Result<Vec<Uuid>, StoreError> {
    db.all(OF_OWNER, [owner.0], |row| row.uuid("uuid"))
}

fn read(row: &Row<'_>) -> Result<Worker, StoreError> {
    let (held, held_groups) = read_held(row)?;
    Ok(Worker {
        id: WorkerId(row.value("id")?),
        uuid: row.uuid("uuid")?,
        creator: UserId(row.value("creator_id")?),
        creator_name: row.value("creator_name")?,
        creator_state: row.code("creator_state")?,
        tags: row.words("tags")?,
        labels: row.words("labels")?,
        state: row.code("state")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        last_heartbeat: row.time("last_heartbeat")?,
        slots: row.value("slots")?,
        token_until: row.optional_time("token_until")?,
        lost_after: row.value::<Option<i64>>("lost_after")?.map(duration),
        missed_at: row.time("missed_at")?,
        lost_at: row.time("lost_at")?,
        held,
        held_groups,
    })
}

/// The tasks, and beside each its group.
fn read_held(row: &Row<'_>) -> Result<(Vec<Uuid>, Vec<GroupId>), StoreError> {
    let held: Vec<(String, i64)> = row.json("held")?;
    held.iter()
        .map(|(digits, group)| Ok((Uuid::parse_str(digits).map_err(Corrupt::from)?, GroupId(*group))))
        .collect()
}
