//! Records of attachments.

use async_trait::async_trait;
use mitosis_domain::ids::GroupId;
use mitosis_domain::name::Name;
use mitosis_domain::object::ObjectKey;
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_protocol::admin::AccountState;
use tokio_postgres::Row;

use super::artifacts::{charge, garbage};
use super::expected;
use super::rights;
use super::row::{self, Columns, Db};
use super::{PostgresStore, ask, write};
use crate::StoreError;
use crate::code::row_count;
use crate::ops::By;
use crate::ops::artifacts::{Removal, Reservation};
use crate::ops::attachments::{Attachment, AttachmentQuery, Attachments};
use crate::ops::expected::NewLink;
use crate::ops::uploads::noted;

#[async_trait]
impl Attachments for PostgresStore {
    async fn reserve_attachment(
        &self,
        by: By,
        group: GroupId,
        key: &str,
        size: i64,
        link: Option<NewLink>,
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        write!(self, tx => reserve(tx, by, group, key, size, link, now))
    }

    async fn attachment(&self, group: GroupId, key: &str) -> Result<Option<Attachment>, StoreError> {
        find(&self.client().await?, group, key).await
    }

    async fn query_attachments(
        &self,
        query: &AttachmentQuery,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<Attachment>, StoreError> {
        let params: row::Params<'_> =
            &[&query.group.0, &query.key_contains, &row_count(limit), &row_count(offset)];
        ask!(self, db => row::all(db, QUERY_ATTACHMENTS, params, read))
    }

    async fn count_attachments(&self, query: &AttachmentQuery) -> Result<u64, StoreError> {
        let params: row::Params<'_> = &[&query.group.0, &query.key_contains];
        let count: i64 = ask!(self, db => row::one(db, COUNT_ATTACHMENTS, params, row::only))?;
        Ok(count.unsigned_abs())
    }

    async fn remove_attachment(
        &self,
        by: By,
        group: GroupId,
        key: &str,
        untouched_since: Timestamp,
    ) -> Result<Removal, StoreError> {
        write!(self, tx => remove(tx, by, group, key, untouched_since))
    }
}

const ATTACHMENT_BY_KEY: &str = "
    SELECT key, size, created_at, updated_at FROM attachment WHERE group_id = $1 AND key = $2";

/// Not LIKE: in a key, `%` and `_` are characters like any other.
const QUERY_ATTACHMENTS: &str = "
    SELECT key, size, created_at, updated_at FROM attachment
    WHERE group_id = $1 AND ($2::text IS NULL OR strpos(key, $2) > 0)
    ORDER BY key LIMIT $3 OFFSET $4";

const COUNT_ATTACHMENTS: &str = "
    SELECT count(*) FROM attachment WHERE group_id = $1 AND ($2::text IS NULL OR strpos(key, $2) > 0)";

async fn find(db: &impl Db, group: GroupId, key: &str) -> Result<Option<Attachment>, StoreError> {
    row::optional(db, ATTACHMENT_BY_KEY, &[&group.0, &key], read).await
}

fn read(row: &Row) -> Result<Attachment, StoreError> {
    Ok(Attachment {
        key: row.value("key")?,
        size: row.value("size")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// Changes of one group's files and members take turns.
const LOCK_GROUP: &str = "SELECT name, state FROM groups WHERE id = $1 FOR UPDATE";

struct Group {
    name: String,
    state: AccountState,
}

async fn lock_group(tx: &impl Db, group: GroupId) -> Result<Group, StoreError> {
    row::one(tx, LOCK_GROUP, &[&group.0], |row| {
        Ok(Group { name: row.value("name")?, state: row.code("state")? })
    })
    .await
}

fn object_of(group: Group, key: &str) -> Result<ObjectKey, StoreError> {
    let name = Name::new(group.name).map_err(|invalid| StoreError::Unexpected(invalid.into()))?;
    ObjectKey::attachment(&name, key).map_err(|invalid| StoreError::Unexpected(invalid.into()))
}

const PUT_ATTACHMENT: &str = "
    INSERT INTO attachment (group_id, key, size, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
    ON CONFLICT (group_id, key) DO UPDATE SET
        size = greatest(attachment.size, excluded.size),
        updated_at = excluded.updated_at";

async fn reserve(
    tx: &impl Db,
    by: By,
    id: GroupId,
    key: &str,
    size: i64,
    link: Option<NewLink>,
    now: Timestamp,
) -> Result<Reservation, StoreError> {
    let group = lock_group(tx, id).await?;
    if group.state != AccountState::Active {
        return Ok(Reservation::GroupNotActive);
    }
    if !rights::may(tx, by, id, Action::ManageFiles).await? {
        return Ok(Reservation::Denied);
    }
    let existing = find(tx, id, key).await?;
    let recorded = existing.as_ref().map_or(0, |existing| existing.size);
    let object = object_of(group, key)?;
    let terms = expected::terms(tx, &object, existing.is_some(), size, link, now).await?;
    if !charge(tx, id, terms.size.saturating_sub(recorded).max(0)).await? {
        return Ok(Reservation::OverQuota);
    }
    row::run_one(tx, PUT_ATTACHMENT, &[&id.0, &key, &terms.size, &now.unix_micros()]).await?;
    expected::expect(tx, &object, &terms, link).await?;
    let (exist, object) = (existing.is_some(), object.path().to_owned());
    Ok(Reservation::Reserved { exist, object, creates: terms.creates })
}

const DELETE_ATTACHMENT: &str = "DELETE FROM attachment WHERE group_id = $1 AND key = $2";

const GIVE_BACK: &str = "UPDATE groups SET storage_used = storage_used - $2 WHERE id = $1";

async fn remove(
    tx: &impl Db,
    by: By,
    id: GroupId,
    key: &str,
    untouched_since: Timestamp,
) -> Result<Removal, StoreError> {
    let group = lock_group(tx, id).await?;
    if !rights::may(tx, by, id, Action::ManageFiles).await? {
        return Ok(Removal::Denied);
    }
    let Some(attachment) = find(tx, id, key).await? else { return Ok(Removal::Unknown) };
    if attachment.updated_at > untouched_since {
        return Ok(Removal::TooYoung);
    }
    row::run_one(tx, DELETE_ATTACHMENT, &[&id.0, &key]).await?;
    row::run_one(tx, GIVE_BACK, &[&id.0, &attachment.size]).await?;
    let object = object_of(group, key)?;
    expected::forget(tx, &object).await?;
    garbage::add_all(tx, &[&noted(&object)], untouched_since).await?;
    Ok(Removal::Removed { object: object.path().to_owned() })
}
