//! Reading workers.

use mitosis_domain::ids::{GroupId, UserId, WorkerId};
use mitosis_domain::worker::Worker;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::super::row::{self, Columns, Db};
use crate::Fault;
use crate::code::{Code, duration};
use crate::ops::query::WorkerQuery;

macro_rules! select_worker {
    () => {
        "SELECT w.id, w.uuid, w.creator_id, u.username AS creator_name, u.state AS creator_state,
            w.tags, w.labels, w.state, w.created_at, w.updated_at, w.slots, w.token_until, w.lost_after,
            s.last_heartbeat, s.lease_until + clock.lag AS lost_at,
            s.lease_until - s.lease + s.missed_after + clock.lag AS missed_at, held.uuids AS held, held.groups AS held_groups
        FROM worker w
        JOIN users u ON u.id = w.creator_id
        JOIN worker_session s ON s.worker_id = w.id
        CROSS JOIN lease_clock clock
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(t.uuid ORDER BY l.claimed_at, l.task_id), '{}') AS uuids,
                   coalesce(array_agg(t.group_id ORDER BY l.claimed_at, l.task_id), '{}') AS groups
            FROM lease l JOIN task t ON t.id = l.task_id
            WHERE l.worker_id = w.id) held "
    };
}

const WORKER_BY_UUID: &str = concat!(select_worker!(), "WHERE w.uuid = $1");

const MATCHING_WORKERS: &str = concat!(
    select_worker!(),
    "JOIN worker_group g ON g.worker_id = w.id AND g.group_id = $1
    WHERE ($2::smallint[] IS NULL OR g.role = ANY($2))
      AND ($3::text IS NULL OR u.username = $3)
      AND w.tags @> $4 AND w.labels @> $5
    ORDER BY w.id"
);

/// The worker of that UUID.
pub(super) async fn by_uuid(db: &impl Db, uuid: Uuid) -> Result<Option<Worker>, Fault> {
    row::optional(db, WORKER_BY_UUID, &[&uuid], read).await
}

const OF_OWNER: &str = "SELECT uuid FROM worker WHERE creator_id = $1 ORDER BY id";

/// The workers that a user has registered.
pub(super) async fn of_owner(db: &impl Db, owner: UserId) -> Result<Vec<Uuid>, Fault> {
    row::all(db, OF_OWNER, &[&owner.0], row::only).await
}

/// Workers that match, oldest first.
pub(super) async fn matching(db: &impl Db, query: &WorkerQuery) -> Result<Vec<Worker>, Fault> {
    let roles: Option<Vec<i16>> =
        query.roles.as_ref().map(|roles| roles.iter().map(|role| role.code()).collect());
    let params: row::Params<'_> =
        &[&query.group.0, &roles, &query.creator, &Json(&query.tags), &Json(&query.labels)];
    row::all(db, MATCHING_WORKERS, params, read).await
}

fn read(row: &Row) -> Result<Worker, Fault> {
    Ok(Worker {
        id: WorkerId(row.value("id")?),
        uuid: row.value("uuid")?,
        creator: UserId(row.value("creator_id")?),
        creator_name: row.value("creator_name")?,
        creator_state: row.code("creator_state")?,
        tags: row.words("tags")?,
        labels: row.words("labels")?,
        state: row.code("state")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        last_heartbeat: row.time("last_heartbeat")?,
        slots: row.value::<Option<i32>>("slots")?.map(i32::unsigned_abs),
        token_until: row.optional_time("token_until")?,
        lost_after: row.value::<Option<i64>>("lost_after")?.map(duration),
        missed_at: row.time("missed_at")?,
        lost_at: row.time("lost_at")?,
        held: row.value("held")?,
        held_groups: row.value::<Vec<i64>>("held_groups")?.into_iter().map(GroupId).collect(),
    })
}
