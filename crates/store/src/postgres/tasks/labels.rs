//! Replacing the labels of a task, in any state.

use mitosis_domain::ids::GroupId;
use mitosis_domain::permission::Action;
use mitosis_domain::tags::Words;
use mitosis_protocol::Timestamp;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::super::rights;
use super::super::row::{self, Columns, Db};
use super::intern;
use crate::StoreError;
use crate::ops::By;

const SET_LABELS: &str = "
    UPDATE task SET labels = $2, updated_at = $3 WHERE uuid = $1 RETURNING id, group_id";

const DELETE_TASK_LABELS: &str = "DELETE FROM task_label WHERE task_id = $1";

const INSERT_TASK_LABELS: &str = "
    INSERT INTO task_label (label_id, task_id) SELECT label_id, $2 FROM unnest($1::bigint[]) AS label_id";

/// Sets exactly these labels; false when there is no such task for this user.
pub(super) async fn set(
    tx: &impl Db,
    by: By,
    uuid: Uuid,
    labels: &Words,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if !rights::may_with(tx, by, uuid, Action::ManageTasks).await? {
        return Ok(false);
    }
    let found = row::optional(tx, SET_LABELS, &[&uuid, &Json(labels), &now.unix_micros()], |row| {
        Ok((row.value::<i64>("id")?, GroupId(row.value("group_id")?)))
    })
    .await?;
    let Some((task, group)) = found else { return Ok(false) };
    row::run(tx, DELETE_TASK_LABELS, &[&task]).await?;
    let known = intern::labels(tx, labels.iter().map(|label| (group, label)).collect()).await?;
    let known: Vec<i64> = known.into_values().collect();
    row::run(tx, INSERT_TASK_LABELS, &[&known, &task]).await?;
    Ok(true)
}
