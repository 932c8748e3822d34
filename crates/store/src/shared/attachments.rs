//! Records of attachments.

use async_trait::async_trait;
use mitosis_domain::ids::GroupId;
use mitosis_domain::name::Name;
use mitosis_domain::object::ObjectKey;
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_protocol::admin::AccountState;

use super::artifacts::{charge, garbage};
use super::expected_uploads;
use super::rights;
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, Params, Row, Sql, read_count, sql};
use crate::enum_codes::row_count;
use crate::ops::Actor;
use crate::ops::artifacts::{Removal, Reservation};
use crate::ops::attachments::{Attachment, AttachmentQuery, Attachments};
use crate::ops::expected_uploads::NewLink;
use crate::ops::uploads::to_stored;

#[async_trait]
impl<B: Backend> Attachments for B {
    async fn reserve_attachment(
        &self,
        actor: Actor,
        group: GroupId,
        key: &str,
        size: i64,
        link: Option<NewLink>,
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        self.write(
            (actor, group, key.to_owned(), size, link, now),
            |db, (actor, group, key, size, link, now)| {
                Box::pin(reserve(db, *actor, *group, key, *size, *link, *now))
            },
        )
        .await
    }

    async fn attachment(&self, group: GroupId, key: &str) -> Result<Option<Attachment>, StoreError> {
        self.read((group, key.to_owned()), |db, (group, key)| Box::pin(find(db, *group, key))).await
    }

    async fn query_attachments(
        &self,
        query: &AttachmentQuery,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<Attachment>, StoreError> {
        self.read_for_user((query.clone(), offset, limit), |db, (query, offset, limit)| {
            Box::pin(page(db, query, *offset, *limit))
        })
        .await
    }

    async fn count_attachments(&self, query: &AttachmentQuery) -> Result<u64, StoreError> {
        self.read_for_user(query.clone(), |db, query| Box::pin(count(db, query))).await
    }

    async fn remove_attachment(
        &self,
        actor: Actor,
        group: GroupId,
        key: &str,
        untouched_since: Timestamp,
    ) -> Result<Removal, StoreError> {
        self.write(
            (actor, group, key.to_owned(), untouched_since),
            |db, (actor, group, key, untouched_since)| {
                Box::pin(remove(db, *actor, *group, key, *untouched_since))
            },
        )
        .await
    }
}

const ATTACHMENT_BY_KEY: Sql = sql!(
    "
    SELECT key, size, created_at, updated_at FROM attachment WHERE group_id = $1 AND key = $2"
);

/// Compares literally, unlike LIKE, since `%` and `_` are normal characters in a key.
const QUERY_ATTACHMENTS: Sql = sql!(
    "
    SELECT key, size, created_at, updated_at FROM attachment
    WHERE group_id = $1 AND ($2::text IS NULL OR strpos(key, $2) > 0)
    ORDER BY key LIMIT $3 OFFSET $4"
);

const COUNT_ATTACHMENTS: Sql = sql!(
    "
    SELECT count(*) FROM attachment WHERE group_id = $1 AND ($2::text IS NULL OR strpos(key, $2) > 0)"
);

async fn page(
    db: Db<'_>,
    query: &AttachmentQuery,
    offset: u64,
    limit: u64,
) -> Result<Vec<Attachment>, StoreError> {
    let params: Params<'_> = &[&query.group.0, &query.key_contains, &row_count(limit), &row_count(offset)];
    db.all(QUERY_ATTACHMENTS, params, read).await
}

async fn count(db: Db<'_>, query: &AttachmentQuery) -> Result<u64, StoreError> {
    db.one(COUNT_ATTACHMENTS, &[&query.group.0, &query.key_contains], read_count).await
}

async fn find(db: Db<'_>, group: GroupId, key: &str) -> Result<Option<Attachment>, StoreError> {
    db.optional(ATTACHMENT_BY_KEY, &[&group.0, &key], read).await
}

fn read(row: &Row<'_>) -> Result<Attachment, StoreError> {
    Ok(Attachment {
        key: row.value("key")?,
        size: row.value("size")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// Serializes changes of the files and members of a group.
const LOCK_GROUP: Sql = sql!("SELECT name, state FROM groups WHERE id = $1 FOR UPDATE");

struct Group {
    name: String,
    state: AccountState,
}

async fn lock_group(db: Db<'_>, group: GroupId) -> Result<Group, StoreError> {
    db.one(LOCK_GROUP, &[&group.0], |row| Ok(Group { name: row.value("name")?, state: row.code("state")? }))
        .await
}

fn object_of(group: Group, key: &str) -> Result<ObjectKey, StoreError> {
    let name = Name::new(group.name).map_err(|invalid| StoreError::Unexpected(invalid.into()))?;
    ObjectKey::attachment(&name, key).map_err(|invalid| StoreError::Unexpected(invalid.into()))
}

const PUT_ATTACHMENT: Sql = sql!(
    "
    INSERT INTO attachment (group_id, key, size, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
    ON CONFLICT (group_id, key) DO UPDATE SET
        size = greatest(attachment.size, excluded.size),
        updated_at = excluded.updated_at"
);

async fn reserve(
    db: Db<'_>,
    actor: Actor,
    id: GroupId,
    key: &str,
    size: i64,
    link: Option<NewLink>,
    now: Timestamp,
) -> Result<Reservation, StoreError> {
    let group = lock_group(db, id).await?;
    if group.state != AccountState::Active {
        return Ok(Reservation::GroupNotActive);
    }
    if !rights::may(db, actor, id, Action::ManageFiles).await? {
        return Ok(Reservation::Denied);
    }
    let existing = find(db, id, key).await?;
    let recorded = existing.as_ref().map_or(0, |existing| existing.size);
    let object = object_of(group, key)?;
    let terms = expected_uploads::terms(db, &object, existing.is_some(), size, link, now).await?;
    if !charge(db, id, terms.size.saturating_sub(recorded).max(0)).await? {
        return Ok(Reservation::OverQuota);
    }
    db.run_one(PUT_ATTACHMENT, &[&id.0, &key, &terms.size, &now.unix_micros()]).await?;
    expected_uploads::expect(db, &object, &terms, link).await?;
    Ok(Reservation::Reserved { record: terms.record, object: object.path().to_owned() })
}

const DELETE_ATTACHMENT: Sql = sql!("DELETE FROM attachment WHERE group_id = $1 AND key = $2");

const RELEASE_STORAGE: Sql = sql!("UPDATE groups SET storage_used = storage_used - $2 WHERE id = $1");

async fn remove(
    db: Db<'_>,
    actor: Actor,
    id: GroupId,
    key: &str,
    untouched_since: Timestamp,
) -> Result<Removal, StoreError> {
    let group = lock_group(db, id).await?;
    let actor = rights::resolve(db, actor).await?;
    if !rights::may(db, actor, id, Action::ManageFiles).await? {
        return Ok(Removal::Denied);
    }
    let Some(attachment) = find(db, id, key).await? else { return Ok(Removal::Unknown) };
    if attachment.updated_at > untouched_since {
        return Ok(Removal::TooYoung);
    }
    db.run_one(DELETE_ATTACHMENT, &[&id.0, &key]).await?;
    db.run_one(RELEASE_STORAGE, &[&id.0, &attachment.size]).await?;
    let object = object_of(group, key)?;
    expected_uploads::delete(db, &object).await?;
    garbage::add(db, &to_stored(&object), untouched_since).await?;
    Ok(Removal::Removed { object: Some(object.path().to_owned()) })
}
