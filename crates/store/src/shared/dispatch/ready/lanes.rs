//! Lanes, and the tasks at their heads.

use std::ops::RangeInclusive;

use mitosis_domain::ids::{GroupId, LaneId, LimitSetId, TaskId, UserId};
use mitosis_protocol::Epoch;

use super::super::room::Room;
use super::{Lanes, Ready};
use crate::StoreError;
use crate::db::{Db, Json, List, Params, Sql, sql};
use crate::enum_codes::row_count;
use crate::exchange_plan::Eligibility;

/// A lane with waiting tasks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    pub(super) id: LaneId,
    pub(super) creator: UserId,
    pub(super) limits: Option<LimitSetId>,
    /// The priority of its first task, as it is stored.
    pub(super) neg_priority: i32,
}

/// The non-empty lanes that the worker may serve. On PostgreSQL, they are ordered by their first tasks.
const LANES: Sql = sql!(
    postgres: "
    SELECT lane.group_id, lane.id, lane.creator_id, lane.limit_set_id, head.neg_priority
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
    SELECT lane.group_id, lane.id, lane.creator_id, lane.limit_set_id, ready.neg_priority
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
            let (id, creator) = (LaneId(row.get(1)?), UserId(row.get(2)?));
            Ok((GroupId(row.get(0)?), Lane { id, creator, limits, neg_priority: row.get(4)? }))
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
        let most = count.min(room.fits(lane.limits));
        if most == 0 {
            continue;
        }
        // Limited tasks may yet be left out, so they set no bound.
        let last = count.checked_sub(1).and_then(|last| free.get(last));
        let bound = last.map_or(end, |last: &Ready| (last.neg_priority, last.task.0).min(end));
        let of_lane = first_of_lane(db, lane, from, bound, most).await?;
        match lane.limits {
            Some(_) => limited.extend(of_lane),
            None => {
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
    Ok(free.into_iter().filter(|ready| room.take(ready.limits)).take(count).collect())
}

async fn first_of_lane(
    db: Db<'_>,
    lane: &Lane,
    from: i32,
    (priority, task): (i32, i64),
    most: usize,
) -> Result<Vec<Ready>, StoreError> {
    let params: Params<'_> = &[&lane.id.0, &priority, &task, &row_count(most), &from];
    let Lane { id, creator, limits, .. } = *lane;
    db.all(FIRST_OF_LANE, params, |row| {
        let (neg_priority, task) = (row.get(0)?, TaskId(row.get(1)?));
        let (epoch, losses) = (Epoch(row.get(2)?), row.get(3)?);
        Ok(Ready { neg_priority, task, lane: id, creator, limits, epoch, losses })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_groups_and_reads_lanes_by_their_keys() {
        assert_searches(LANES, &["lane", "tag_set", "ready", "ready"]);
        assert_searches(FIRST_OF_LANE, &["ready"]);
    }
}
