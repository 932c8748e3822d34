//! Changes of a worker by users.

use mitosis_domain::ids::WorkerId;
use mitosis_domain::permission::Action;
use mitosis_domain::tags::TagSet;
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use super::super::rights;
use super::lock::lock_by_uuid;
use crate::StoreError;
use crate::db::{Db, Json, Sql, sql};
use crate::ops::workers::WorkerChange;
use crate::ops::{Actor, Changed, Effects};

const SET_TAGS: Sql = sql!("UPDATE worker SET tags = $2, updated_at = $3 WHERE id = $1");

const SET_LABELS: Sql = sql!("UPDATE worker SET labels = $2, updated_at = $3 WHERE id = $1");

const TOUCH: Sql = sql!("UPDATE worker SET updated_at = $2 WHERE id = $1");

/// Replaces the tags.
pub(super) async fn set_tags(
    db: Db<'_>,
    actor: Actor,
    uuid: Uuid,
    tags: &TagSet,
    now: Timestamp,
) -> Result<Changed<WorkerChange>, StoreError> {
    let change = set(db, actor, uuid, SET_TAGS, tags, now).await?;
    // It may run others now.
    Ok(Effects { ready: change == WorkerChange::Done, ..Effects::default() }.with(change))
}

/// Replaces the labels.
pub(super) async fn set_labels(
    db: Db<'_>,
    actor: Actor,
    uuid: Uuid,
    labels: &TagSet,
    now: Timestamp,
) -> Result<WorkerChange, StoreError> {
    set(db, actor, uuid, SET_LABELS, labels, now).await
}

async fn set(
    db: Db<'_>,
    actor: Actor,
    uuid: Uuid,
    sql: Sql,
    words: &TagSet,
    now: Timestamp,
) -> Result<WorkerChange, StoreError> {
    let Some(worker) = lock_by_uuid(db, uuid).await? else { return Ok(WorkerChange::Unknown) };
    if !rights::may_on_worker(db, actor, worker, Action::LabelWorkers, Role::Write).await? {
        return Ok(WorkerChange::Denied);
    }
    db.run_one(sql, &[&worker.0, &Json(words), &now.unix_micros()]).await?;
    Ok(WorkerChange::Done)
}

/// Sets the time of the last change: the worker claimed or committed a task, or its groups changed.
pub(crate) async fn touch(db: Db<'_>, worker: WorkerId, now: Timestamp) -> Result<(), StoreError> {
    db.run_one(TOUCH, &[&worker.0, &now.unix_micros()]).await
}
