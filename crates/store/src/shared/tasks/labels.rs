//! Replacement of the labels of a task, in any state.

use mitosis_domain::ids::GroupId;
use mitosis_domain::permission::Action;
use mitosis_domain::tags::TagSet;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::rights;
use super::intern;
use crate::StoreError;
use crate::db::{Db, Json, Sql, sql};
use crate::ops::Actor;

const SET_LABELS: Sql = sql!(
    "
    UPDATE task SET labels = $2, updated_at = $3 WHERE uuid = $1 RETURNING id, group_id"
);

const DELETE_TASK_LABELS: Sql = sql!("DELETE FROM task_label WHERE task_id = $1");

const INSERT_TASK_LABEL: Sql = sql!("INSERT INTO task_label (label_id, task_id) VALUES ($1, $2)");

/// Replaces the labels; returns false if the task doesn't exist or the user may not change it.
pub(super) async fn set(
    db: Db<'_>,
    actor: Actor,
    uuid: Uuid,
    labels: &TagSet,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if !rights::may_with(db, actor, uuid, Action::ManageTasks).await? {
        return Ok(false);
    }
    let found = db
        .optional(SET_LABELS, &[&uuid, &Json(labels), &now.unix_micros()], |row| {
            Ok((row.value::<i64>("id")?, GroupId(row.value("group_id")?)))
        })
        .await?;
    let Some((task, group)) = found else { return Ok(false) };
    db.run(DELETE_TASK_LABELS, &[&task]).await?;
    for label in intern::labels(db, group, labels).await? {
        db.run_one(INSERT_TASK_LABEL, &[&label, &task]).await?;
    }
    Ok(true)
}
