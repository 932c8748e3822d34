//! The choice of the next tasks: groups share slot time; within a group, larger priority first, then older, over all
//! lanes that the worker may serve.

use std::collections::{HashMap, VecDeque};

use mitosis_domain::ids::{GroupId, LaneId, TaskId};
use mitosis_protocol::{Epoch, Timestamp};

use crate::StoreError;
use crate::db::{Db, Json, List, Params, Sql, sql};
use crate::enum_codes::row_count;
use crate::exchange_plan::Eligibility;
use crate::fairness::SharedFairShare;

/// A Ready task. The order of the fields is the order of service within a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ready {
    pub(crate) neg_priority: i32,
    pub(crate) task: TaskId,
    pub(crate) lane: LaneId,
    pub(crate) epoch: Epoch,
    pub(crate) losses: i64,
}

/// The non-empty lanes that the worker may serve. On PostgreSQL, they are ordered by their first tasks.
const LANES: Sql = sql!(
    postgres: "
    SELECT lane.group_id, lane.id
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
    SELECT lane.group_id, lane.id
    FROM json_each(?1) AS wanted
    CROSS JOIN lane ON lane.group_id = wanted.value
    CROSS JOIN tag_set ON tag_set.id = lane.tag_set_id
    WHERE EXISTS (SELECT 1 FROM ready WHERE ready.lane_id = lane.id AND ready.held = FALSE)
      -- The worker has all tags of the lane.
      AND (tag_set.tags = ?2 OR NOT EXISTS (
          SELECT value FROM json_each(tag_set.tags) EXCEPT SELECT value FROM json_each(?2)))",
);

/// Locks the next tasks, at most `count`, in the order of service. A group with fewer tasks than its share
/// leaves the rest to the others.
pub(crate) async fn select_ready(
    db: Db<'_>,
    shares: &SharedFairShare,
    who: &Eligibility,
    count: usize,
    now: Timestamp,
) -> Result<Vec<Ready>, StoreError> {
    let lanes = lanes_of(db, who).await?;
    let mut open: Vec<GroupId> = lanes.iter().map(|(group, _)| *group).collect();
    let mut selected: HashMap<GroupId, VecDeque<Ready>> = HashMap::new();
    let mut missing = count;
    while missing > 0 && !open.is_empty() {
        let mut full = Vec::new();
        for (group, share) in shares.shares(&open, missing, now) {
            // The result includes the tasks that are already locked, and further ones.
            let wanted = selected.get(&group).map_or(0, VecDeque::len) + share;
            let of_group =
                lanes.iter().find(|(known, _)| *known == group).map_or(&[][..], |(_, lanes)| lanes);
            let first = first_of_lanes(db, of_group, wanted).await?;
            if first.len() == wanted {
                full.push(group);
            }
            selected.insert(group, first.into());
        }
        missing = count.saturating_sub(selected.values().map(VecDeque::len).sum());
        open = full;
    }
    let of_groups = lanes.iter().filter_map(|(group, _)| Some((*group, selected.remove(group)?)));
    Ok(shares.merge(of_groups.collect(), count, now))
}

/// The lanes of each group, in the order of their first tasks.
async fn lanes_of(db: Db<'_>, who: &Eligibility) -> Result<Vec<(GroupId, Vec<LaneId>)>, StoreError> {
    let groups: Vec<i64> = who.groups.iter().map(|group| group.0).collect();
    let params: Params<'_> = &[&List(&groups), &Json(&who.tags)];
    let lanes: Vec<(GroupId, LaneId)> =
        db.all(LANES, params, |row| Ok((GroupId(row.get(0)?), LaneId(row.get(1)?)))).await?;
    let mut by_group: Vec<(GroupId, Vec<LaneId>)> = Vec::new();
    for (group, lane) in lanes {
        match by_group.iter_mut().find(|(known, _)| *known == group) {
            Some((_, lanes)) => lanes.push(lane),
            None => by_group.push((group, vec![lane])),
        }
    }
    Ok(by_group)
}

/// The first tasks of one lane, read by the primary key. Tasks that a concurrent transaction has locked are
/// skipped.
const FIRST_OF_LANE: Sql = sql!(
    "
    SELECT neg_priority, task_id, epoch, losses
    FROM ready
    WHERE lane_id = $1 AND held = FALSE AND (neg_priority, task_id) < ($2, $3)
    ORDER BY neg_priority, task_id
    LIMIT $4
    FOR UPDATE SKIP LOCKED"
);

/// Locks the first `count` tasks of all lanes. Once there are that many, a further lane is only queried for
/// tasks ahead of the last one. Since the lanes are ordered, there rarely are any.
async fn first_of_lanes(db: Db<'_>, lanes: &[LaneId], count: usize) -> Result<Vec<Ready>, StoreError> {
    let mut first: Vec<Ready> = Vec::new();
    for lane in lanes.iter().copied() {
        let last = count.checked_sub(1).and_then(|last| first.get(last));
        let bound = last.map_or((i32::MAX, i64::MAX), |last| (last.neg_priority, last.task.0));
        let params: Params<'_> = &[&lane.0, &bound.0, &bound.1, &row_count(count)];
        let of_lane: Vec<Ready> = db
            .all(FIRST_OF_LANE, params, |row| {
                let (neg_priority, task) = (row.get(0)?, TaskId(row.get(1)?));
                Ok(Ready { neg_priority, task, lane, epoch: Epoch(row.get(2)?), losses: row.get(3)? })
            })
            .await?;
        first.extend(of_lane);
        first.sort_unstable();
        first.truncate(count);
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_groups_and_reads_lanes_by_their_keys() {
        assert_searches(LANES, &["lane", "ready", "tag_set"]);
        assert_searches(FIRST_OF_LANE, &["ready"]);
    }
}
