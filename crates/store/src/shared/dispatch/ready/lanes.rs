//! Lanes, and the tasks at their heads.

use std::ops::RangeInclusive;

use mitosis_domain::ids::{GroupId, LaneId, LimitSetId, RequestId, TaskId, UserId};
use mitosis_protocol::Epoch;

use super::super::room::{Demand, Room};
use super::{Lanes, Ready};
use crate::StoreError;
use crate::db::{Db, Json, List, Params, Row, Sql, sql};
use crate::enum_codes::row_count;
use crate::exchange_plan::Eligibility;

/// A lane with waiting tasks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane {
    pub(super) creator: UserId,
    pub(super) demand: Demand,
    /// The priority of its first task, as it is stored.
    pub(super) neg_priority: i32,
}

/// The non-empty lanes that the worker may serve. On PostgreSQL, they are ordered by their first tasks.
const LANES: Sql = sql!(
    postgres: "
    SELECT lane.group_id, lane.id, lane.creator_id, lane.limit_set_id, head.neg_priority, lane.request_id
    FROM lane
    JOIN tag_set ON tag_set.id = lane.tag_set_id
    CROSS JOIN LATERAL (
        SELECT neg_priority, task_id FROM ready WHERE ready.lane_id = lane.id AND ready.held = FALSE
        ORDER BY neg_priority, task_id LIMIT 1) head
    WHERE lane.group_id = ANY($1)
      -- The worker has all tags of the lane.
      AND tag_set.tags <@ $2
    ORDER BY head.neg_priority, head.task_id",
    sqlite: "
    SELECT lane.group_id, lane.id, lane.creator_id, lane.limit_set_id, ready.neg_priority, lane.request_id
    FROM json_each(?1) AS wanted
    CROSS JOIN lane ON lane.group_id = wanted.value
    CROSS JOIN tag_set ON tag_set.id = lane.tag_set_id
    CROSS JOIN ready ON ready.lane_id = lane.id AND ready.held = FALSE AND ready.task_id = (
        SELECT task_id FROM ready WHERE ready.lane_id = lane.id AND ready.held = FALSE
        ORDER BY neg_priority, task_id LIMIT 1)
    -- The worker has all tags of the lane.
    WHERE tag_set.tags = ?2 OR NOT EXISTS (
        SELECT value FROM json_each(tag_set.tags) EXCEPT SELECT value FROM json_each(?2))",
);

/// The lanes of each group, in the order of their first tasks.
pub(super) async fn lanes_of(db: Db<'_>, who: &Eligibility) -> Result<Lanes, StoreError> {
    let groups: Vec<i64> = who.groups.iter().map(|group| group.0).collect();
    let params: Params<'_> = &[&List(&groups), &Json(&who.tags)];
    let lanes: Vec<(GroupId, Lane)> = db
        .all(LANES, params, |row| {
            let limits = Some(LimitSetId(row.get(3)?)).filter(|set| set.0 != 0);
            let request = Some(RequestId(row.get(5)?)).filter(|request| request.0 != 0);
            let demand = Demand { lane: LaneId(row.get(1)?), limits, request };
            let lane = Lane { creator: UserId(row.get(2)?), demand, neg_priority: row.get(4)? };
            Ok((GroupId(row.get(0)?), lane))
        })
        .await?;
    let mut by_group: Lanes = Vec::new();
    for (group, lane) in lanes {
        match by_group.iter_mut().find(|(known, _)| *known == group) {
            Some((_, lanes)) => lanes.push(lane),
            None => by_group.push((group, vec![lane])),
        }
    }
    Ok(by_group)
}

/// All priorities, as they are stored.
pub(super) const ANY_PRIORITY: RangeInclusive<i32> = i32::MIN..=i32::MAX;

/// The first tasks of one lane, read by the primary key. Tasks that a concurrent transaction has locked are
/// skipped.
const FIRST_OF_LANE: Sql = sql!(
    "
    SELECT neg_priority, task_id, epoch, losses
    FROM ready
    WHERE lane_id = $1 AND held = FALSE AND (neg_priority, task_id) < ($2, $3) AND neg_priority >= $5
    ORDER BY neg_priority, task_id
    LIMIT $4
    FOR UPDATE SKIP LOCKED"
);

/// The same, without tasks that may run longer than a number of seconds.
const FIRST_THAT_END: Sql = sql!(
    "
    SELECT r.neg_priority, r.task_id, r.epoch, r.losses
    FROM ready r INNER JOIN task t ON t.id = r.task_id
    WHERE r.lane_id = $1 AND r.held = FALSE AND (r.neg_priority, r.task_id) < ($2, $3) AND r.neg_priority >= $5
      AND t.timeout_seconds <= $6
    ORDER BY r.neg_priority, r.task_id
    LIMIT $4
    FOR UPDATE OF r SKIP LOCKED"
);

/// Locks the first `count` tasks of lanes of one member, with these priorities, as far as there is room, which they take. Once
/// there are that many, a further lane is only queried for tasks ahead of the last one. Since the lanes are ordered, there
/// rarely are any.
pub(super) async fn first_of_lanes(
    db: Db<'_>,
    lanes: &[Lane],
    priorities: RangeInclusive<i32>,
    count: usize,
    room: &mut Room,
) -> Result<Vec<Ready>, StoreError> {
    let (from, end) = (*priorities.start(), (*priorities.end(), i64::MAX));
    let (mut free, mut limited) = (Vec::new(), Vec::new());
    for lane in lanes {
        let most = count.min(room.fits(lane.demand));
        if most == 0 {
            continue;
        }
        // Bounded tasks may yet be left out, so they set no bound.
        let last = count.checked_sub(1).and_then(|last| free.get(last));
        let bound = last.map_or(end, |last: &Ready| (last.neg_priority, last.task.0).min(end));
        let of_lane = first_of_lane(db, lane, from, bound, most, room.longest_timeout(lane.demand)).await?;
        match room.is_bounded(lane.demand) {
            true => limited.extend(of_lane),
            false => {
                free.extend(of_lane);
                free.sort_unstable();
                free.truncate(count);
            }
        }
    }
    if limited.is_empty() {
        return Ok(free);
    }
    free.append(&mut limited);
    free.sort_unstable();
    Ok(free.into_iter().filter(|ready| room.take(ready.demand)).take(count).collect())
}

async fn first_of_lane(
    db: Db<'_>,
    lane: &Lane,
    from: i32,
    (priority, task): (i32, i64),
    most: usize,
    longest: Option<i64>,
) -> Result<Vec<Ready>, StoreError> {
    let Lane { creator, demand, .. } = *lane;
    let (id, most) = (demand.lane.0, row_count(most));
    let read = |row: &Row<'_>| {
        let (neg_priority, task) = (row.get(0)?, TaskId(row.get(1)?));
        let (epoch, losses) = (Epoch(row.get(2)?), row.get(3)?);
        Ok::<_, StoreError>(Ready { neg_priority, task, creator, demand, epoch, losses })
    };
    match longest {
        None => db.all(FIRST_OF_LANE, &[&id, &priority, &task, &most, &from], read).await,
        Some(longest) => db.all(FIRST_THAT_END, &[&id, &priority, &task, &most, &from, &longest], read).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_groups_and_reads_lanes_by_their_keys() {
        assert_searches(LANES, &["lane", "tag_set", "ready", "ready"]);
        assert_searches(FIRST_OF_LANE, &["ready"]);
        assert_searches(FIRST_THAT_END, &["r", "t"]);
    }
}
