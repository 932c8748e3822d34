//! What users change about a worker.

use mitosis_domain::ids::WorkerId;
use mitosis_domain::permission::Action;
use mitosis_domain::tags::Words;
use mitosis_protocol::{Role, Timestamp};
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::super::rights;
use super::super::row::{self, Db};
use super::lock::lock_by_uuid;
use crate::StoreError;
use crate::ops::By;
use crate::ops::workers::WorkerChange;

const SET_TAGS: &str = "UPDATE worker SET tags = $2, updated_at = $3 WHERE id = $1";

const SET_LABELS: &str = "UPDATE worker SET labels = $2, updated_at = $3 WHERE id = $1";

const TOUCH: &str = "UPDATE worker SET updated_at = $2 WHERE id = $1";

/// Sets exactly these tags.
pub(super) async fn set_tags(
    tx: &impl Db,
    by: By,
    uuid: Uuid,
    tags: &Words,
    now: Timestamp,
) -> Result<WorkerChange, StoreError> {
    set(tx, by, uuid, SET_TAGS, tags, now).await
}

/// Sets exactly these labels.
pub(super) async fn set_labels(
    tx: &impl Db,
    by: By,
    uuid: Uuid,
    labels: &Words,
    now: Timestamp,
) -> Result<WorkerChange, StoreError> {
    set(tx, by, uuid, SET_LABELS, labels, now).await
}

async fn set(
    tx: &impl Db,
    by: By,
    uuid: Uuid,
    sql: &str,
    words: &Words,
    now: Timestamp,
) -> Result<WorkerChange, StoreError> {
    let Some(worker) = lock_by_uuid(tx, uuid).await? else { return Ok(WorkerChange::Unknown) };
    if !rights::may_on_worker(tx, by, worker, Action::LabelWorkers, Role::Write).await? {
        return Ok(WorkerChange::Denied);
    }
    row::run_one(tx, sql, &[&worker.0, &Json(words), &now.unix_micros()]).await?;
    Ok(WorkerChange::Done)
}

/// Notes that the worker took or committed a task, or that its groups changed.
pub(in super::super) async fn touch(
    tx: &impl Db,
    worker: WorkerId,
    now: Timestamp,
) -> Result<(), StoreError> {
    row::run_one(tx, TOUCH, &[&worker.0, &now.unix_micros()]).await
}
