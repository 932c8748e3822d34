//! Records of attachments.

use async_trait::async_trait;
use mitosis_domain::ids::GroupId;
use mitosis_domain::name::Name;
use mitosis_domain::object::ObjectKey;
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_protocol::admin::AccountState;
use rusqlite::{Connection, Row, params};

use super::SqliteStore;
use super::artifacts::{charge, garbage};
use super::expected;
use super::rights;
use super::row::{Columns, Run, read_count};
use crate::StoreError;
use crate::code::row_count;
use crate::ops::By;
use crate::ops::artifacts::{Removal, Reservation};
use crate::ops::attachments::{Attachment, AttachmentQuery, Attachments};
use crate::ops::expected::NewLink;
use crate::ops::uploads::noted;

#[async_trait]
impl Attachments for SqliteStore {
    async fn reserve_attachment(
        &self,
        by: By,
        group: GroupId,
        key: &str,
        size: i64,
        link: Option<NewLink>,
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        let key = key.to_owned();
        self.write(move |db| reserve(db, by, group, &key, size, link, now)).await
    }

    async fn attachment(&self, group: GroupId, key: &str) -> Result<Option<Attachment>, StoreError> {
        let key = key.to_owned();
        self.read(move |db| db.optional(ATTACHMENT_BY_KEY, params![group.0, key], read)).await
    }

    async fn query_attachments(
        &self,
        query: &AttachmentQuery,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<Attachment>, StoreError> {
        let query = query.clone();
        self.answer(move |db| {
            let page = params![query.group.0, query.key_contains, row_count(limit), row_count(offset)];
            db.all(QUERY_ATTACHMENTS, page, read)
        })
        .await
    }

    async fn count_attachments(&self, query: &AttachmentQuery) -> Result<u64, StoreError> {
        let query = query.clone();
        self.answer(move |db| {
            db.one(COUNT_ATTACHMENTS, params![query.group.0, query.key_contains], read_count)
        })
        .await
    }

    async fn remove_attachment(
        &self,
        by: By,
        group: GroupId,
        key: &str,
        untouched_since: Timestamp,
    ) -> Result<Removal, StoreError> {
        let key = key.to_owned();
        self.write(move |db| remove(db, by, group, &key, untouched_since)).await
    }
}

const ATTACHMENT_BY_KEY: &str = "
    SELECT key, size, created_at, updated_at FROM attachment WHERE group_id = ?1 AND key = ?2";

/// Not LIKE: in a key, `%` and `_` are characters like any other.
const QUERY_ATTACHMENTS: &str = "
    SELECT key, size, created_at, updated_at FROM attachment
    WHERE group_id = ?1 AND (?2 IS NULL OR instr(key, ?2) > 0)
    ORDER BY key LIMIT ?3 OFFSET ?4";

const COUNT_ATTACHMENTS: &str = "
    SELECT count(*) FROM attachment WHERE group_id = ?1 AND (?2 IS NULL OR instr(key, ?2) > 0)";

fn read(row: &Row<'_>) -> Result<Attachment, StoreError> {
    Ok(Attachment {
        key: row.value("key")?,
        size: row.value("size")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

const GROUP: &str = "SELECT name, state FROM groups WHERE id = ?1";

const PUT_ATTACHMENT: &str = "
    INSERT INTO attachment (group_id, key, size, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4)
    ON CONFLICT (group_id, key) DO UPDATE SET
        size = max(size, excluded.size),
        updated_at = excluded.updated_at";

fn reserve(
    db: &Connection,
    by: By,
    group: GroupId,
    key: &str,
    size: i64,
    link: Option<NewLink>,
    now: Timestamp,
) -> Result<Reservation, StoreError> {
    let (_, state) = group_of(db, group)?;
    if state != AccountState::Active {
        return Ok(Reservation::GroupNotActive);
    }
    if !rights::may(db, by, group, Action::ManageFiles)? {
        return Ok(Reservation::Denied);
    }
    let existing = db.optional(ATTACHMENT_BY_KEY, params![group.0, key], read)?;
    let recorded = existing.as_ref().map_or(0, |existing| existing.size);
    let object = object_of(db, group, key)?;
    let terms = expected::terms(db, &object, existing.is_some(), size, link, now)?;
    if !charge(db, group, terms.size.saturating_sub(recorded).max(0))? {
        return Ok(Reservation::OverQuota);
    }
    db.run_one(PUT_ATTACHMENT, params![group.0, key, terms.size, now.unix_micros()])?;
    expected::expect(db, &object, &terms, link)?;
    let (exist, object) = (existing.is_some(), object.path().to_owned());
    Ok(Reservation::Reserved { exist, object, creates: terms.creates })
}

fn group_of(db: &Connection, group: GroupId) -> Result<(String, AccountState), StoreError> {
    db.one(GROUP, [group.0], |row| Ok((row.value("name")?, row.code("state")?)))
}

fn object_of(db: &Connection, group: GroupId, key: &str) -> Result<ObjectKey, StoreError> {
    let (name, _) = group_of(db, group)?;
    let name = Name::new(name).map_err(|invalid| StoreError::Unexpected(invalid.into()))?;
    ObjectKey::attachment(&name, key).map_err(|invalid| StoreError::Unexpected(invalid.into()))
}

const DELETE_ATTACHMENT: &str = "DELETE FROM attachment WHERE group_id = ?1 AND key = ?2";

const GIVE_BACK: &str = "UPDATE groups SET storage_used = storage_used - ?2 WHERE id = ?1";

fn remove(
    db: &Connection,
    by: By,
    group: GroupId,
    key: &str,
    untouched_since: Timestamp,
) -> Result<Removal, StoreError> {
    if !rights::may(db, by, group, Action::ManageFiles)? {
        return Ok(Removal::Denied);
    }
    let Some(attachment) = db.optional(ATTACHMENT_BY_KEY, params![group.0, key], read)? else {
        return Ok(Removal::Unknown);
    };
    if attachment.updated_at > untouched_since {
        return Ok(Removal::TooYoung);
    }
    db.run_one(DELETE_ATTACHMENT, params![group.0, key])?;
    db.run_one(GIVE_BACK, [group.0, attachment.size])?;
    let object = object_of(db, group, key)?;
    expected::forget(db, &object)?;
    garbage::add(db, &noted(&object), untouched_since)?;
    Ok(Removal::Removed { object: object.path().to_owned() })
}
