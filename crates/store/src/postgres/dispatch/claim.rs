//! Handing out tasks: groups take turns; within a group larger priority first, then older, over all lanes
//! that the worker may serve.

use std::collections::{HashMap, VecDeque};

use mitosis_domain::crash;
use mitosis_domain::ids::{GroupId, LaneId, TaskId, WorkerId};
use mitosis_domain::lease::Moment;
use mitosis_domain::limits;
use mitosis_domain::task::LeaseKey;
use mitosis_protocol::worker::WorkerState;
use tokio_postgres::types::Json;

use super::participants;
use crate::StoreError;
use crate::batch::Eligibility;
use crate::code::row_count;
use crate::ops::dispatch::{Assignment, Claim, Work};
use crate::postgres::session::{Params, Session};
use crate::shared::dispatch::{lease, work};
use crate::shared::tasks::get;
use crate::shared::workers::{self};
use crate::turns::SharedTurns;

/// The oldest, should there be several.
const RUNNING_OF_WORKER: &str = "
    SELECT task_id, worker_id, epoch, token, losses, claimed_at, reported_end
    FROM lease WHERE worker_id = $1 AND reported_end IS NULL
    ORDER BY claimed_at, task_id LIMIT 1";

/// Gives the worker the task it has, or else another.
pub(crate) async fn claim_or_resume(
    db: Session<'_>,
    turns: &SharedTurns,
    worker: WorkerId,
    token: i64,
    at: Moment,
) -> Result<Claim, StoreError> {
    let mut participants = participants::lock(db, &[worker]).await?;
    let Some(participant) = participants.remove(&worker) else { return Ok(Claim::WorkerGone) };
    if let Some(held) = db.optional(RUNNING_OF_WORKER, &[&worker.0], lease::read).await? {
        return with_task(db, held.key).await;
    }
    if participant.worker.state == WorkerState::GracefulShutdown {
        return Ok(Claim::Stopping);
    }
    let first = line_up(db, turns, &participant.eligibility, 1).await?;
    let taken = assign(db, &first, &[(worker, token)], at).await?;
    let Some((_, work)) = taken.into_iter().next() else { return Ok(Claim::Assigned(Vec::new())) };
    // Both are on their way before either is answered.
    let ((), claim) = tokio::try_join!(workers::touch(db.into(), worker, at.now), with_task(db, work.lease))?;
    Ok(claim)
}

async fn with_task(db: Session<'_>, lease: LeaseKey) -> Result<Claim, StoreError> {
    Ok(Claim::Assigned(vec![Assignment { task: get::by_id(db.into(), lease.task).await?, lease }]))
}

/// A task in line. The order of the fields is the order of service within a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiting {
    neg_priority: i32,
    task: TaskId,
    lane: LaneId,
}

impl Waiting {
    pub(super) fn task(&self) -> TaskId {
        self.task
    }
}

/// Lanes in which something waits that the worker may run, the one to be served first in front.
const LANES: &str = "
    SELECT lane.group_id, lane.id
    FROM lane
    JOIN tag_set ON tag_set.id = lane.tag_set_id
    CROSS JOIN LATERAL (
        SELECT neg_priority, task_id FROM ready WHERE ready.lane_id = lane.id
        ORDER BY neg_priority, task_id LIMIT 1) head
    WHERE lane.group_id = ANY($1)
      -- no tag that the worker lacks
      AND tag_set.tags <@ $2
    ORDER BY head.neg_priority, head.task_id";

/// Locks what is to be served next, at most `count`, in the order of service. A group that has less
/// waiting than its turns leaves the rest to the others.
pub(super) async fn line_up(
    db: Session<'_>,
    turns: &SharedTurns,
    who: &Eligibility,
    count: usize,
) -> Result<Vec<Waiting>, StoreError> {
    let lanes = lanes_of(db, who).await?;
    let mut open: Vec<GroupId> = lanes.iter().map(|(group, _)| *group).collect();
    let mut lines: HashMap<GroupId, VecDeque<Waiting>> = HashMap::new();
    let mut missing = count;
    while missing > 0 && !open.is_empty() {
        let mut full = Vec::new();
        for (group, share) in turns.shares(&open, missing) {
            // What is locked already is found again, and more behind it.
            let wanted = lines.get(&group).map_or(0, VecDeque::len) + share;
            let of_group =
                lanes.iter().find(|(known, _)| *known == group).map_or(&[][..], |(_, lanes)| lanes);
            let line = first_in_line(db, of_group, wanted).await?;
            if line.len() == wanted {
                full.push(group);
            }
            lines.insert(group, line.into());
        }
        missing = count.saturating_sub(lines.values().map(VecDeque::len).sum());
        open = full;
    }
    let mut served =
        turns.merge(lanes.iter().filter_map(|(group, _)| Some((*group, lines.remove(group)?))).collect());
    served.truncate(count);
    Ok(served)
}

/// The lanes, by group; the group with the first in line in front.
async fn lanes_of(db: Session<'_>, who: &Eligibility) -> Result<Vec<(GroupId, Vec<LaneId>)>, StoreError> {
    let groups: Vec<i64> = who.groups.iter().map(|group| group.0).collect();
    let lanes: Vec<(GroupId, LaneId)> = db
        .all(LANES, &[&groups, &Json(&who.tags)], |row| Ok((GroupId(row.get(0)?), LaneId(row.get(1)?))))
        .await?;
    let mut by_group: Vec<(GroupId, Vec<LaneId>)> = Vec::new();
    for (group, lane) in lanes {
        match by_group.iter_mut().find(|(known, _)| *known == group) {
            Some((_, lanes)) => lanes.push(lane),
            None => by_group.push((group, vec![lane])),
        }
    }
    Ok(by_group)
}

/// The first of one lane, straight from the key. What another one takes right now is passed over.
const FIRST_OF_LANE: &str = "
    SELECT neg_priority, task_id
    FROM ready
    WHERE lane_id = $1 AND (neg_priority, task_id) < ($2, $3)
    ORDER BY neg_priority, task_id
    LIMIT $4
    FOR UPDATE SKIP LOCKED";

/// Locks the first `count` of all lanes. Once that many are known, a further lane is asked only for
/// what goes before the last of them; with the lanes in order, that is rarely anything.
async fn first_in_line(db: Session<'_>, lanes: &[LaneId], count: usize) -> Result<Vec<Waiting>, StoreError> {
    let mut first: Vec<Waiting> = Vec::new();
    for lane in lanes.iter().copied() {
        let last = count.checked_sub(1).and_then(|last| first.get(last));
        let bound = last.map_or((i32::MAX, i64::MAX), |last| (last.neg_priority, last.task.0));
        let params: Params<'_> = &[&lane.0, &bound.0, &bound.1, &row_count(count)];
        let of_lane: Vec<Waiting> = db
            .all(FIRST_OF_LANE, params, |row| {
                Ok(Waiting { neg_priority: row.get(0)?, task: TaskId(row.get(1)?), lane })
            })
            .await?;
        first.extend(of_lane);
        first.sort_unstable();
        first.truncate(count);
    }
    Ok(first)
}

/// A task that has not been reported by `overdue_at`, in the time of leases, is taken back (HTTP contract §12.4).
const ASSIGN: &str = "
    WITH taken AS (
        DELETE FROM ready
        USING unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[])
            AS first (lane_id, neg_priority, task_id, worker_id, token)
        WHERE ready.lane_id = first.lane_id AND ready.neg_priority = first.neg_priority
          AND ready.task_id = first.task_id
        RETURNING ready.task_id, ready.epoch, ready.losses, first.worker_id, first.token),
    work AS (
        SELECT taken.*, task.uuid, task.group_id, task.priority, task.timeout_seconds, task.upstream_uuid,
               task.spec, task.lost_after
        FROM taken JOIN task ON task.id = taken.task_id),
    leased AS (
        INSERT INTO lease (task_id, worker_id, epoch, token, losses, claimed_at, overdue_at, updated_at,
                           lost_after)
        SELECT task_id, worker_id, epoch + 1, token, losses, $6,
               $7::bigint + timeout_seconds * 1000000, $6, lost_after
        FROM work)
    SELECT task_id, worker_id, epoch + 1 AS epoch, token, uuid, group_id, priority, timeout_seconds,
           upstream_uuid, spec
    FROM work";

/// Leases each of the tasks to the worker beside it, with its token; answers what was leased, in order.
pub(super) async fn assign(
    db: Session<'_>,
    first: &[Waiting],
    to: &[(WorkerId, i64)],
    at: Moment,
) -> Result<Vec<(WorkerId, Work)>, StoreError> {
    if first.is_empty() {
        return Ok(Vec::new());
    }
    let lanes: Vec<i64> = first.iter().map(|waiting| waiting.lane.0).collect();
    let places: Vec<i32> = first.iter().map(|waiting| waiting.neg_priority).collect();
    let tasks: Vec<i64> = first.iter().map(|waiting| waiting.task.0).collect();
    let (workers, tokens): (Vec<i64>, Vec<i64>) = to.iter().map(|(worker, token)| (worker.0, *token)).unzip();
    let overdue_at = at.lease + limits::PREPARATION_ALLOWANCE + limits::OVERDUE_GRACE;
    let params: Params<'_> =
        &[&lanes, &places, &tasks, &workers, &tokens, &at.now.unix_micros(), &overdue_at.micros()];
    crash::point("claim.lease:before");
    let mut leased: HashMap<TaskId, (WorkerId, Work)> = db
        .all(ASSIGN, params, |row| {
            let work = work::read(row)?;
            Ok((work.lease.task, (WorkerId(row.value("worker_id")?), work)))
        })
        .await?;
    crash::point("claim.lease:after");
    Ok(first.iter().filter_map(|waiting| leased.remove(&waiting.task)).collect())
}
