//! Insertion of tasks that repeat others.

use mitosis_domain::ids::UserId;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::insert::draw_ids;
use crate::StoreError;
use crate::ops::tasks::TaskIds;
use crate::postgres::session::{Params, Session};
use crate::shared::tasks::repeat::Copied;

const INSERT_TASKS: &str = "
    INSERT INTO task (id, uuid, group_id, number, creator_id, lane_id, priority, labels, spec,
                      timeout_seconds, created_at, updated_at, repeats_uuid, lost_after)
    SELECT new.id, new.uuid, t.group_id, new.number, $5, new.lane_id, new.priority, t.labels, t.spec,
           t.timeout_seconds, $6, $6, t.uuid, t.lost_after
    FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $7::bigint[], $8::int[])
        AS new (id, uuid, number, original, lane_id, priority)
    JOIN task t ON t.id = new.original";

const INSERT_TASK_LABELS: &str = "
    INSERT INTO task_label (label_id, task_id)
    SELECT l.label_id, new.id
    FROM unnest($1::bigint[], $2::bigint[]) AS new (id, original)
    JOIN task_label l ON l.task_id = new.original";

const INSERT_TASK_NEEDS: &str = "
    INSERT INTO task_need (needed_uuid, task_id)
    SELECT n.needed_uuid, new.id
    FROM unnest($1::bigint[], $2::bigint[]) AS new (id, original)
    JOIN task_need n ON n.task_id = new.original";

/// The priority is stored as [`neg_priority`](crate::enum_codes::neg_priority) does.
const INSERT_READY: &str = "
    INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
    SELECT lane_id, ~priority, id, 0, 0, $2 FROM task WHERE id = ANY($1)";

/// Inserts a task for each of the originals.
pub(crate) async fn insert(
    db: Session<'_>,
    creator: UserId,
    copied: &[Copied],
    new: &[TaskIds],
    now: Timestamp,
) -> Result<(), StoreError> {
    if copied.is_empty() {
        return Ok(());
    }
    let ids = draw_ids(db, copied.len()).await?;
    let originals: Vec<i64> = copied.iter().map(|copied| copied.original).collect();
    let lanes: Vec<i64> = copied.iter().map(|copied| copied.lane.0).collect();
    let priorities: Vec<i32> = copied.iter().map(|copied| copied.priority).collect();
    let uuids: Vec<Uuid> = new.iter().map(|new| new.uuid).collect();
    let numbers: Vec<i64> = new.iter().map(|new| new.number).collect();
    let now = now.unix_micros();
    let params: Params<'_> = &[&ids, &uuids, &numbers, &originals, &creator.0, &now, &lanes, &priorities];
    db.run(INSERT_TASKS, params).await?;
    db.run(INSERT_TASK_LABELS, &[&ids, &originals]).await?;
    db.run(INSERT_TASK_NEEDS, &[&ids, &originals]).await?;
    db.run(INSERT_READY, &[&ids, &now]).await?;
    Ok(())
}
