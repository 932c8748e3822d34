//! Changing a task that waits.

use mitosis_domain::ids::{GroupId, LaneId, TaskId, UserId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::rights;
use super::super::row::{Columns, Run, to_json};
use super::insert;
use super::intern::Interned;
use crate::StoreError;
use crate::code::{neg_priority, silence_limit};
use crate::needs;
use crate::ops::By;
use crate::ops::tasks::TaskChange;

struct Waiting {
    id: TaskId,
    group: GroupId,
    creator: UserId,
    lane: LaneId,
    priority: i32,
}

const FIND_READY: &str = "
    SELECT t.id, t.group_id, t.creator_id, t.lane_id, t.priority
    FROM task t JOIN ready r ON r.task_id = t.id
    WHERE t.uuid = ?1";

const CHANGE_TASK: &str = "
    UPDATE task SET
        lane_id = ?2,
        priority = ?3,
        timeout_seconds = coalesce(?4, timeout_seconds),
        spec = coalesce(?5, spec),
        lost_after = CASE WHEN ?5 IS NULL THEN lost_after ELSE ?7 END,
        updated_at = ?6
    WHERE id = ?1";

/// Attempts, losses and age stay with the task.
const MOVE_IN_LINE: &str = "UPDATE ready SET lane_id = ?2, neg_priority = ?3 WHERE task_id = ?1";

/// Changes the task if it is Ready and this user may; false otherwise.
pub(super) fn change(
    db: &Connection,
    by: By,
    uuid: Uuid,
    change: &TaskChange,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(task) = find_ready(db, uuid)? else { return Ok(false) };
    if !rights::may(db, by, task.group, Action::ManageTasks)? || !may_name(db, by, task.creator, change)? {
        return Ok(false);
    }
    let lane = match &change.tags {
        Some(tags) => Interned::default().lane(db, task.group, &to_json(tags)?)?,
        None => task.lane,
    };
    let priority = change.priority.unwrap_or(task.priority);
    let spec = change.spec.as_ref().map(to_json).transpose()?;
    let limit = change.spec.as_ref().and_then(silence_limit);
    db.run_one(
        CHANGE_TASK,
        params![task.id.0, lane.0, priority, change.timeout_seconds, spec, now.unix_micros(), limit],
    )?;
    if let Some(spec) = &change.spec {
        insert::replace_needs(db, task.id, spec)?;
    }
    db.run_one(MOVE_IN_LINE, params![task.id.0, lane.0, neg_priority(priority)])?;
    Ok(true)
}

fn find_ready(db: &Connection, uuid: Uuid) -> Result<Option<Waiting>, StoreError> {
    db.optional(FIND_READY, [uuid.as_bytes()], |row| {
        Ok(Waiting {
            id: TaskId(row.value("id")?),
            group: GroupId(row.value("group_id")?),
            creator: UserId(row.value("creator_id")?),
            lane: LaneId(row.value("lane_id")?),
            priority: row.value("priority")?,
        })
    })
}

/// The task goes on to be its creator's, and is looked at with the creator's rights when it runs. So both have
/// to see what it names now.
fn may_name(db: &Connection, by: By, creator: UserId, change: &TaskChange) -> Result<bool, StoreError> {
    let (Some(spec), By::User(user)) = (&change.spec, by) else { return Ok(true) };
    let named = needs::named_by(spec);
    Ok(rights::sees_all(db, user, &named)? && rights::sees_all(db, creator, &named)?)
}
