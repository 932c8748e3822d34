//! Workers that are kept free for tasks that smaller ones would starve.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mitosis_domain::ids::{GroupId, LaneId, LimitSetId, RequestId, UserId, WorkerId};
use mitosis_domain::reservation::{self, BusyWorker, RESERVE_AFTER, Starved};
use mitosis_domain::resources::can_serve;
use mitosis_domain::tags::TagSet;
use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{ResourceRequest, Role, Timestamp};

use super::agent_room::Requests;
use super::room::Room;
use super::rounds::{parse, read_requests};
use crate::StoreError;
use crate::db::{Db, List, Params, Sql, only, sql};
use crate::enum_codes::Code;
use crate::ops::{Changed, Effects};

const OF_WORKERS: Sql = sql!(
    "
    SELECT v.worker_id, v.lane_id, n.request_id
    FROM reservation v INNER JOIN lane n ON n.id = v.lane_id WHERE v.worker_id = ANY($1)"
);

/// The lanes for which workers are reserved, with their requests.
pub(super) async fn of_workers(
    db: Db<'_>,
    workers: &[i64],
) -> Result<HashMap<WorkerId, (LaneId, RequestId)>, StoreError> {
    db.all(OF_WORKERS, &[&List(workers)], |row| {
        let lane = (LaneId(row.value("lane_id")?), RequestId(row.value("request_id")?));
        Ok((WorkerId(row.value("worker_id")?), lane))
    })
    .await
}

const END: Sql = sql!("DELETE FROM reservation WHERE worker_id = $1");

/// Ends the reservation of a worker.
pub(super) async fn end(db: Db<'_>, worker: WorkerId) -> Result<(), StoreError> {
    db.run(END, &[&worker.0]).await.map(drop)
}

const MAY_BE_DUE: Sql = sql!(
    "
    SELECT EXISTS (SELECT 1 FROM reservation)
        OR EXISTS (
            SELECT 1 FROM lane n WHERE n.request_id <> 0
              AND (SELECT r.task_id FROM ready r WHERE r.lane_id = n.id AND r.held = FALSE LIMIT 1) IS NOT NULL)"
);

/// Whether a worker is reserved, or may have to be: most of the time, no task waits that requests anything but the default.
pub(super) async fn may_be_due(db: Db<'_>) -> Result<bool, StoreError> {
    db.one(MAY_BE_DUE, &[], only).await
}

/// The first task of each lane, in the groups with lanes that request anything but the default.
const HEADS: Sql = sql!(
    postgres: "
    SELECT n.id, n.group_id, n.creator_id, n.limit_set_id, n.request_id, s.tags, head.queued_at
    FROM lane n JOIN tag_set s ON s.id = n.tag_set_id
    CROSS JOIN LATERAL (
        SELECT neg_priority, task_id, queued_at FROM ready WHERE ready.lane_id = n.id AND ready.held = FALSE
        ORDER BY neg_priority, task_id LIMIT 1) head
    WHERE n.group_id IN (SELECT group_id FROM lane WHERE request_id <> 0)
    ORDER BY head.neg_priority, head.task_id",
    sqlite: "
    SELECT n.id, n.group_id, n.creator_id, n.limit_set_id, n.request_id, s.tags, r.queued_at
    FROM lane n JOIN tag_set s ON s.id = n.tag_set_id
    JOIN ready r ON r.lane_id = n.id AND r.held = FALSE AND r.task_id = (
        SELECT task_id FROM ready h WHERE h.lane_id = n.id AND h.held = FALSE
        ORDER BY h.neg_priority, h.task_id LIMIT 1)
    WHERE n.group_id IN (SELECT group_id FROM lane WHERE request_id <> 0)
    ORDER BY r.neg_priority, r.task_id",
);

#[derive(Debug)]
struct Head {
    lane: LaneId,
    member: (GroupId, UserId),
    limits: Option<LimitSetId>,
    request: Option<RequestId>,
    tags: TagSet,
    queued_at: Timestamp,
}

/// The workers that accept tasks, once for each group that they serve.
const WORKERS: Sql = sql!(
    "
    SELECT w.id, w.tags, w.offer, w.ends_at, g.group_id
    FROM worker w INNER JOIN worker_group g ON g.worker_id = w.id
    INNER JOIN worker_session s ON s.worker_id = w.id CROSS JOIN lease_clock clock
    WHERE w.state = $1 AND g.role >= $2 AND w.offer IS NOT NULL
      AND s.lease_until - s.lease + s.missed_after + clock.lag > $3
    ORDER BY w.id"
);

#[derive(Debug)]
struct Server {
    tags: TagSet,
    groups: BTreeSet<GroupId>,
    ends_at: Option<Timestamp>,
}

/// What each worker holds, the oldest first.
const HELD: Sql = sql!(
    "
    SELECT l.worker_id, n.request_id
    FROM lease l INNER JOIN task t ON t.id = l.task_id INNER JOIN lane n ON n.id = t.lane_id
    WHERE l.worker_id = ANY($1)
    ORDER BY l.claimed_at, l.task_id"
);

const EXISTING: Sql = sql!("SELECT lane_id, worker_id FROM reservation");

const INSERT: Sql = sql!(
    "
    INSERT INTO reservation (lane_id, worker_id, since) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
);

/// Replaces the reservations by those that are due now. Returns their number.
pub(super) async fn reserve(db: Db<'_>, now: Timestamp) -> Result<Changed<usize>, StoreError> {
    let existing: BTreeMap<LaneId, WorkerId> = db
        .all(EXISTING, &[], |row| Ok((LaneId(row.value("lane_id")?), WorkerId(row.value("worker_id")?))))
        .await?;
    let heads = heads(db).await?;
    let requests = read_requests(db, &heads.iter().filter_map(|head| head.request).collect()).await?;
    let (servers, workers) = workers(db, now).await?;
    let starved = starved(db, &heads, &requests, (&servers, &workers), now).await?;
    let due = reservation::reserve(&starved, &workers, &existing);
    let mut effects = Effects::default();
    for (lane, worker) in &existing {
        if due.get(lane) != Some(worker) {
            end(db, *worker).await?;
            // Others may use what was kept free.
            effects.ready = true;
        }
    }
    for (lane, worker) in &due {
        if existing.get(lane) != Some(worker) {
            let params: Params<'_> = &[&lane.0, &worker.0, &now.unix_micros()];
            db.run(INSERT, params).await?;
        }
    }
    Ok(effects.with(due.len()))
}

async fn heads(db: Db<'_>) -> Result<Vec<Head>, StoreError> {
    db.all(HEADS, &[], |row| {
        Ok(Head {
            lane: LaneId(row.value("id")?),
            member: (GroupId(row.value("group_id")?), UserId(row.value("creator_id")?)),
            limits: Some(LimitSetId(row.value("limit_set_id")?)).filter(|set| set.0 != 0),
            request: Some(RequestId(row.value("request_id")?)).filter(|request| request.0 != 0),
            tags: row.tag_set("tags")?,
            queued_at: row.time("queued_at")?,
        })
    })
    .await
}

type Servers = BTreeMap<WorkerId, Server>;

async fn workers(db: Db<'_>, now: Timestamp) -> Result<(Servers, Vec<BusyWorker>), StoreError> {
    let params: Params<'_> = &[&WorkerState::Normal.code(), &Role::Write.code(), &now.unix_micros()];
    let rows = db
        .all::<Vec<_>, _>(WORKERS, params, |row| {
            let (offer, ends_at) = (row.value::<Option<String>>("offer")?, row.optional_time("ends_at")?);
            let group = GroupId(row.value("group_id")?);
            Ok((WorkerId(row.value("id")?), row.tag_set("tags")?, offer, ends_at, group))
        })
        .await?;
    let (mut servers, mut workers) = (Servers::new(), Vec::<BusyWorker>::new());
    for (id, tags, offer, ends_at, group) in rows {
        let Some(offer) = parse(offer.as_deref(), id)? else { continue };
        if !servers.contains_key(&id) {
            workers.push(BusyWorker { id, offer, held: Vec::new() });
        }
        let server = servers.entry(id).or_insert_with(|| Server { tags, groups: BTreeSet::new(), ends_at });
        server.groups.insert(group);
    }
    let ids: Vec<i64> = workers.iter().map(|worker| worker.id.0).collect();
    let held: Vec<(WorkerId, RequestId)> = db
        .all(HELD, &[&List(&ids)], |row| {
            Ok((WorkerId(row.value("worker_id")?), RequestId(row.value("request_id")?)))
        })
        .await?;
    let ids = held.iter().map(|(_, request)| *request).filter(|request| request.0 != 0).collect();
    let requests = read_requests(db, &ids).await?;
    for (worker, request) in held {
        if let Ok(place) = workers.binary_search_by_key(&worker.0, |worker| worker.id.0) {
            let request = requests.get(&request).map(|request| ResourceRequest::clone(request));
            workers[place].held.push(request.unwrap_or_default());
        }
    }
    Ok((servers, workers))
}

/// The first lane of each member, if it waits for enough of something. Lanes that no worker can serve are left out: they would
/// hide the others.
async fn starved(
    db: Db<'_>,
    heads: &[Head],
    requests: &Requests,
    (servers, workers): (&Servers, &[BusyWorker]),
    now: Timestamp,
) -> Result<Vec<Starved>, StoreError> {
    let limits: Vec<LimitSetId> = heads.iter().filter_map(|head| head.limits).collect();
    let room = Room::peek(db, &limits).await?;
    let (mut seen, mut starved) = (BTreeSet::new(), Vec::new());
    for head in heads {
        if seen.contains(&head.member) || room.fits_limits(head.limits) == 0 {
            continue;
        }
        let request = match head.request {
            Some(id) => requests.get(&id).cloned().unwrap_or_default(),
            None => Arc::default(),
        };
        let serves = |server: &Server| {
            let ends_before = |end: Timestamp| request.time.is_some_and(|time| now + time > end);
            server.groups.contains(&head.member.0)
                && head.tags.iter().all(|tag| server.tags.iter().any(|other| other == tag))
                && !server.ends_at.is_some_and(ends_before)
        };
        let eligible: BTreeSet<WorkerId> =
            servers.iter().filter(|(_, server)| serves(server)).map(|(id, _)| *id).collect();
        let is_served =
            workers.iter().any(|worker| eligible.contains(&worker.id) && can_serve(&worker.offer, &request));
        if !is_served {
            continue;
        }
        seen.insert(head.member);
        if head.request.is_some() && head.queued_at + RESERVE_AFTER <= now {
            let request = ResourceRequest::clone(&request);
            starved.push(Starved { lane: head.lane, since: head.queued_at, request, eligible });
        }
    }
    Ok(starved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_reads_reservations_by_their_workers() {
        assert_searches(OF_WORKERS, &["v", "n"]);
        assert_searches(END, &["reservation"]);
        assert_searches(HELD, &["l", "t", "n"]);
    }
}
