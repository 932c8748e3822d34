//! What users change about a worker.

use mitosis_domain::ids::WorkerId;
use mitosis_domain::tags::Words;
use mitosis_protocol::Timestamp;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::super::row::{self, Db};
use crate::Fault;

const SET_TAGS: &str = "UPDATE worker SET tags = $2, updated_at = $3 WHERE uuid = $1";

const SET_LABELS: &str = "UPDATE worker SET labels = $2, updated_at = $3 WHERE uuid = $1";

const TOUCH: &str = "UPDATE worker SET updated_at = $2 WHERE id = $1";

/// Sets exactly these tags; false when there is no such worker.
pub(super) async fn set_tags(db: &impl Db, uuid: Uuid, tags: &Words, now: Timestamp) -> Result<bool, Fault> {
    Ok(row::run(db, SET_TAGS, &[&uuid, &Json(tags), &now.unix_micros()]).await? == 1)
}

/// Sets exactly these labels; false when there is no such worker.
pub(super) async fn set_labels(
    db: &impl Db,
    uuid: Uuid,
    labels: &Words,
    now: Timestamp,
) -> Result<bool, Fault> {
    Ok(row::run(db, SET_LABELS, &[&uuid, &Json(labels), &now.unix_micros()]).await? == 1)
}

/// Notes that the worker took or committed a task, or that its groups changed.
pub(in super::super) async fn touch(tx: &impl Db, worker: WorkerId, now: Timestamp) -> Result<(), Fault> {
    row::run_one(tx, TOUCH, &[&worker.0, &now.unix_micros()]).await
}
