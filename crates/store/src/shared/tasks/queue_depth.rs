//! How many tasks of each group wait for a worker.

use crate::StoreError;
use crate::db::{Db, Row, Sql, sql};
use crate::enum_codes::row_count;
use crate::ops::tasks::QueueDepth;

/// The queue is counted by lane, in the order of its key, before anything is joined.
const DEPTH: Sql = sql!(
    "
    SELECT groups.name AS name, queued.tasks AS tasks, (sum(queued.tasks) OVER ())::bigint AS total
    FROM (SELECT lane.group_id AS group_id, sum(of_lane.tasks)::bigint AS tasks
          FROM (SELECT lane_id, count(*) AS tasks FROM ready GROUP BY lane_id) of_lane
          JOIN lane ON lane.id = of_lane.lane_id
          GROUP BY lane.group_id) queued
    JOIN groups ON groups.id = queued.group_id
    ORDER BY tasks DESC, name
    LIMIT $1"
);

pub(super) async fn queue_depth(db: Db<'_>, most: u64) -> Result<QueueDepth, StoreError> {
    let rows: Vec<(String, u64, u64)> = db.all(DEPTH, &[&row_count(most)], read).await?;
    let total = rows.first().map_or(0, |(_, _, total)| *total);
    let groups: Vec<(String, u64)> = rows.into_iter().map(|(name, tasks, _)| (name, tasks)).collect();
    let listed: u64 = groups.iter().map(|(_, tasks)| tasks).sum();
    Ok(QueueDepth { groups, others: total.saturating_sub(listed) })
}

fn read(row: &Row<'_>) -> Result<(String, u64, u64), StoreError> {
    let number = |name| row.value::<i64>(name).map(i64::unsigned_abs);
    Ok((row.value("name")?, number("tasks")?, number("total")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::steps;

    #[test]
    fn queue_is_counted_in_the_order_of_its_key() {
        let steps = steps(DEPTH);
        // Only the groups of lanes are sorted, and there are few lanes.
        let sorts = steps.iter().filter(|step| step.contains("TEMP B-TREE FOR GROUP BY"));
        assert_eq!(sorts.count(), 1, "{steps:#?}");
    }
}
