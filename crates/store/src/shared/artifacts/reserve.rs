//! Reservations of uploads: the record and the charge precede the bytes.

use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::permission::Action;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{ArtifactKind, Epoch, Timestamp};
use uuid::Uuid;

use super::super::dispatch::lease;
use super::super::expected_uploads;
use super::super::rights;
use super::garbage;
use crate::StoreError;
use crate::db::{Db, Params, Row, Sql, sql};
use crate::enum_codes::Code;
use crate::ops::artifacts::{Place, Reservation, UploadRecord};
use crate::ops::dispatch::Holder;
use crate::ops::expected_uploads::NewLink;
use crate::ops::{Actor, Changed, Effects};

/// Charges only what fits, so the quota holds under concurrency. A growth of 0 is accepted even in a group
/// beyond its quota.
const CHARGE: Sql = sql!(
    "
    UPDATE groups SET storage_used = storage_used + $2
    WHERE id = $1 AND ($2::bigint = 0 OR $2 <= storage_quota - storage_used)"
);

/// Charges a group for growth; returns false if the quota does not allow it.
pub(crate) async fn charge(db: Db<'_>, group: GroupId, growth: i64) -> Result<bool, StoreError> {
    Ok(db.run(CHARGE, &[&group.0, &growth]).await? == 1)
}

/// The task that an upload belongs to.
struct Target {
    task: TaskId,
    uuid: Uuid,
    group: GroupId,
    group_state: AccountState,
}

const TARGET_BY_ID: Sql = sql!(
    "
    SELECT t.id, t.uuid, t.group_id, g.state AS group_state
    FROM task t INNER JOIN groups g ON g.id = t.group_id WHERE t.id = $1"
);

/// Locks the task, to serialize uploads to it and the commit of its attempt, and the group, since changes of
/// its members lock it first.
const TARGET_BY_UUID: Sql = sql!(
    "
    SELECT t.id, t.uuid, t.group_id, g.state AS group_state
    FROM task t INNER JOIN groups g ON g.id = t.group_id WHERE t.uuid = $1 FOR UPDATE OF t, g"
);

fn read_target(row: &Row<'_>) -> Result<Target, StoreError> {
    Ok(Target {
        task: TaskId(row.value("id")?),
        uuid: row.value("uuid")?,
        group: GroupId(row.value("group_id")?),
        group_state: row.code("group_state")?,
    })
}

/// The existing record of the same name.
struct Existing {
    id: i64,
    size: i64,
    object: String,
    place: Place,
}

const OF_ATTEMPT: Sql = sql!(
    "
    SELECT id, size, object, place FROM artifact
    WHERE task_id = $1 AND kind = $2 AND epoch = $3 AND NOT visible"
);

const VISIBLE: Sql = sql!(
    "
    SELECT id, size, object, place FROM artifact WHERE task_id = $1 AND kind = $2 AND visible"
);

async fn find(db: Db<'_>, sql: Sql, key: Params<'_>) -> Result<Option<Existing>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(Existing {
            id: row.value("id")?,
            size: row.value("size")?,
            object: row.value("object")?,
            place: row.code("place")?,
        })
    };
    db.optional(sql, key, read).await
}

/// Reserves an upload of the attempt that holds the task; it becomes visible with the commit.
pub(super) async fn for_attempt(
    db: Db<'_>,
    holder: Holder,
    kind: ArtifactKind,
    size: i64,
    now: Timestamp,
) -> Result<Changed<Reservation>, StoreError> {
    let Some(lease) = lease::lock(db, holder).await? else {
        return Ok(Changed::nothing(Reservation::NoSuchTask));
    };
    let target = db.one(TARGET_BY_ID, &[&lease.key.task.0], read_target).await?;
    let epoch = lease.key.epoch;
    let new = NewArtifact {
        kind,
        epoch,
        visible: false,
        object: ObjectKey::attempt_artifact(target.uuid, epoch, kind),
    };
    let existing = find(db, OF_ATTEMPT, &[&target.task.0, &kind.code(), &epoch.0]).await?;
    let outcome = reserve(db, &target, &new, existing, size, now).await?;
    if !matches!(outcome, Reservation::Reserved { .. }) {
        return Ok(Changed::nothing(outcome));
    }
    lease::touch(db, target.task, now).await?;
    Ok(Effects::moved().with(outcome))
}

const TOUCH_TASK: Sql = sql!("UPDATE task SET updated_at = $2 WHERE id = $1");

/// Reserves an upload by a user; it is visible at once, in place of the current archive.
pub(super) async fn for_user(
    db: Db<'_>,
    actor: Actor,
    task: Uuid,
    kind: ArtifactKind,
    size: i64,
    link: Option<NewLink>,
    now: Timestamp,
) -> Result<Reservation, StoreError> {
    let Some(target) = db.optional(TARGET_BY_UUID, &[&task], read_target).await? else {
        return Ok(Reservation::NoSuchTask);
    };
    if !rights::may(db, actor, target.group, Action::ManageFiles).await? {
        return Ok(Reservation::Denied);
    }
    let new =
        NewArtifact { kind, epoch: Epoch::ZERO, visible: true, object: ObjectKey::artifact(task, kind) };
    let existing = find(db, VISIBLE, &[&target.task.0, &kind.code()]).await?;
    if let Some(Existing { place: Place::Inline | Place::Packed, object, .. }) = existing {
        return Ok(Reservation::HasNoObject { object });
    }
    let object = existing.as_ref().map_or(new.object.path(), |existing| existing.object.as_str());
    let key = ObjectKey::from_stored(ObjectClass::Artifacts, object.to_owned());
    let terms = expected_uploads::terms(db, &key, existing.is_some(), size, link, now).await?;
    let mut outcome = reserve(db, &target, &new, existing, terms.size, now).await?;
    if let Reservation::Reserved { record, .. } = &mut outcome {
        *record = terms.record;
        expected_uploads::expect(db, &key, &terms, link).await?;
        db.run_one(TOUCH_TASK, &[&target.task.0, &now.unix_micros()]).await?;
    }
    Ok(outcome)
}

/// A new record, if there is none that can grow.
struct NewArtifact {
    kind: ArtifactKind,
    epoch: Epoch,
    visible: bool,
    object: ObjectKey,
}

const INSERT_ARTIFACT: Sql = sql!(
    "
    INSERT INTO artifact (task_id, kind, epoch, size, object, visible, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $7)"
);

const GROW_ARTIFACT: Sql =
    sql!("UPDATE artifact SET size = greatest(size, $2), updated_at = $3 WHERE id = $1");

async fn reserve(
    db: Db<'_>,
    target: &Target,
    new: &NewArtifact,
    existing: Option<Existing>,
    size: i64,
    now: Timestamp,
) -> Result<Reservation, StoreError> {
    if target.group_state != AccountState::Active {
        return Ok(Reservation::GroupNotActive);
    }
    let recorded = existing.as_ref().map_or(0, |existing| existing.size);
    if !charge(db, target.group, size.saturating_sub(recorded).max(0)).await? {
        return Ok(Reservation::OverQuota);
    }
    if let Some(Existing { id, object, .. }) = existing {
        db.run_one(GROW_ARTIFACT, &[&id, &size, &now.unix_micros()]).await?;
        return Ok(Reservation::Reserved { record: UploadRecord::Existing, object });
    }
    let object = new.object.path().to_owned();
    garbage::delete(db, &object).await?;
    let params: Params<'_> =
        &[&target.task.0, &new.kind.code(), &new.epoch.0, &size, &object, &new.visible, &now.unix_micros()];
    db.run_one(INSERT_ARTIFACT, params).await?;
    Ok(Reservation::Reserved { record: UploadRecord::NewDirect, object })
}
