//! Reading workers.

use mitosis_domain::ids::{GroupId, UserId, WorkerId};
use mitosis_domain::worker::Worker;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::super::row::{self, Columns, Db};
use crate::StoreError;
use crate::code::{Code, duration, row_count};
use crate::ops::query::{FoundWorkers, Portions, WorkerPage, WorkerQuery, weight_of_worker};

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

macro_rules! that_match {
    () => {
        "JOIN worker_group g ON g.worker_id = w.id AND g.group_id = $1
        WHERE ($2::smallint[] IS NULL OR g.role = ANY($2))
          AND ($3::text IS NULL OR u.username = $3)
          AND w.tags @> $4 AND w.labels @> $5 "
    };
}

const MATCHING_WORKERS: &str =
    concat!(select_worker!(), that_match!(), "AND w.id > $6 ORDER BY w.id LIMIT $7");

const COUNT_MATCHING: &str =
    concat!("SELECT count(*) FROM worker w JOIN users u ON u.id = w.creator_id ", that_match!());

/// The worker of that UUID.
pub(super) async fn by_uuid(db: &impl Db, uuid: Uuid) -> Result<Option<Worker>, StoreError> {
    row::optional(db, WORKER_BY_UUID, &[&uuid], read).await
}

const OF_OWNER: &str = "SELECT uuid FROM worker WHERE creator_id = $1 ORDER BY id";

/// The workers that a user has registered.
pub(super) async fn of_owner(db: &impl Db, owner: UserId) -> Result<Vec<Uuid>, StoreError> {
    row::all(db, OF_OWNER, &[&owner.0], row::only).await
}

/// One page of workers that match.
pub(super) async fn page(
    db: &impl Db,
    query: &WorkerQuery,
    page: WorkerPage,
) -> Result<FoundWorkers, StoreError> {
    let (roles, tags, labels) = (roles(query), Json(&query.tags), Json(&query.labels));
    let (mut workers, mut portions) = (Vec::new(), Portions::up_to(page.bytes));
    let mut after = page.after.map_or(0, |worker| worker.0);
    while (workers.len() as u64) < page.limit {
        let at_once = row_count(page.limit - workers.len() as u64).min(row_count(portions.next() as u64));
        let params: row::Params<'_> =
            &[&query.group.0, &roles, &query.creator, &tags, &labels, &after, &at_once];
        let portion: Vec<Worker> = row::all(db, MATCHING_WORKERS, params, read).await?;
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
pub(super) async fn count(db: &impl Db, query: &WorkerQuery) -> Result<u64, StoreError> {
    let (roles, tags, labels) = (roles(query), Json(&query.tags), Json(&query.labels));
    let params: row::Params<'_> = &[&query.group.0, &roles, &query.creator, &tags, &labels];
    Ok(row::one(db, COUNT_MATCHING, params, row::only::<i64>).await?.unsigned_abs())
}

fn roles(query: &WorkerQuery) -> Option<Vec<i16>> {
    query.roles.as_ref().map(|roles| roles.iter().map(|role| role.code()).collect())
}

fn read(row: &Row) -> Result<Worker, StoreError> {
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
