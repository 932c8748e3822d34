//! Reading workers.

use mitosis_domain::ids::{GroupId, UserId, WorkerId};
use mitosis_domain::worker::Worker;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::super::fault::Corrupt;
use super::super::row::{Columns, Run, to_json};
use crate::Fault;
use crate::code::{Code, duration};
use crate::ops::query::WorkerQuery;

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

const MATCHING_WORKERS: &str = concat!(
    select_worker!(),
    "CROSS JOIN worker_group g ON g.worker_id = w.id AND g.group_id = ?1
    WHERE (?2 IS NULL OR g.role IN (SELECT value FROM json_each(?2)))
      AND (?3 IS NULL OR u.username = ?3)
      -- nothing asked for that the worker lacks
      AND NOT EXISTS (SELECT value FROM json_each(?4) EXCEPT SELECT value FROM json_each(w.tags))
      AND NOT EXISTS (SELECT value FROM json_each(?5) EXCEPT SELECT value FROM json_each(w.labels))
    ORDER BY w.id"
);

const ID_OF_WORKER: &str = "SELECT id FROM worker WHERE uuid = ?1";

/// The id of the worker of that UUID.
pub(super) fn id_of(db: &Connection, uuid: Uuid) -> Result<Option<WorkerId>, Fault> {
    db.optional(ID_OF_WORKER, [uuid.as_bytes()], |row| Ok(WorkerId(row.get(0)?)))
}

/// The worker of that UUID.
pub(super) fn by_uuid(db: &Connection, uuid: Uuid) -> Result<Option<Worker>, Fault> {
    db.optional(WORKER_BY_UUID, [uuid.as_bytes()], read)
}

/// Workers that match, oldest first.
pub(super) fn matching(db: &Connection, query: &WorkerQuery) -> Result<Vec<Worker>, Fault> {
    let roles = query.roles.as_ref().map(|roles| {
        let codes: Vec<i16> = roles.iter().map(|role| role.code()).collect();
        to_json(&codes)
    });
    let (tags, labels) = (to_json(&query.tags)?, to_json(&query.labels)?);
    db.all(MATCHING_WORKERS, params![query.group.0, roles.transpose()?, query.creator, tags, labels], read)
}

const OF_OWNER: &str = "SELECT uuid FROM worker WHERE creator_id = ?1 ORDER BY id";

/// The workers that a user has registered.
pub(super) fn of_owner(db: &Connection, owner: UserId) -> Result<Vec<Uuid>, Fault> {
    db.all(OF_OWNER, [owner.0], |row| row.uuid("uuid"))
}

fn read(row: &Row<'_>) -> Result<Worker, Fault> {
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
fn read_held(row: &Row<'_>) -> Result<(Vec<Uuid>, Vec<GroupId>), Fault> {
    let held: Vec<(String, i64)> = row.json("held")?;
    held.iter()
        .map(|(digits, group)| Ok((Uuid::parse_str(digits).map_err(Corrupt::from)?, GroupId(*group))))
        .collect()
}
