//! Insertion of tasks that repeat others.

use mitosis_domain::ids::UserId;
use mitosis_protocol::Timestamp;
use rusqlite::params;

use crate::StoreError;
use crate::ops::tasks::TaskIds;
use crate::shared::tasks::repeat::Copied;
use crate::sqlite::connection::Connection;

const INSERT_TASK: &str = "
    INSERT INTO task (uuid, group_id, number, creator_id, lane_id, priority, labels, spec,
                      timeout_seconds, created_at, updated_at, repeats_uuid, lost_after)
    VALUES (?2, (SELECT group_id FROM task WHERE id = ?1), ?3, ?4, ?6,
            ?7, (SELECT labels FROM task WHERE id = ?1),
            (SELECT spec FROM task WHERE id = ?1), (SELECT timeout_seconds FROM task WHERE id = ?1),
            ?5, ?5, (SELECT uuid FROM task WHERE id = ?1), (SELECT lost_after FROM task WHERE id = ?1))";

const INSERT_LABELS: &str = "
    INSERT INTO task_label (label_id, task_id) SELECT label_id, ?2 FROM task_label WHERE task_id = ?1";

const INSERT_REFERENCES: &str = "
    INSERT INTO task_need (needed_uuid, task_id) SELECT needed_uuid, ?2 FROM task_need WHERE task_id = ?1";

/// The priority is stored as [`neg_priority`](crate::enum_codes::neg_priority) does.
const INSERT_READY: &str = "
    INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
    VALUES ((SELECT lane_id FROM task WHERE id = ?1), (SELECT ~priority FROM task WHERE id = ?1), ?1, 0, 0, ?2)";

/// Inserts a task for each of the originals.
pub(crate) fn insert(
    db: &Connection,
    creator: UserId,
    copied: &[Copied],
    new: &[TaskIds],
    now: Timestamp,
) -> Result<(), StoreError> {
    let now = now.unix_micros();
    for (Copied { original, lane, priority }, TaskIds { uuid, number }) in copied.iter().zip(new) {
        let id = db.insert(INSERT_TASK, params![original, uuid, number, creator.0, now, lane.0, priority])?;
        db.run(INSERT_LABELS, [*original, id])?;
        db.run(INSERT_REFERENCES, [*original, id])?;
        db.run_one(INSERT_READY, [id, now])?;
    }
    Ok(())
}
