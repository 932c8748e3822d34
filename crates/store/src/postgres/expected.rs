//! Uploads by users that may still come, and what is stored once they can't.

use async_trait::async_trait;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::row::{self, Db};
use super::{PostgresStore, write};
use crate::StoreError;
use crate::ops::expected::{Ended, ExpectedUploads, NewLink, ended};
use crate::ops::uploads::{from_note, noted};

#[async_trait]
impl ExpectedUploads for PostgresStore {
    async fn begin_upload(
        &self,
        key: &ObjectKey,
        nonce: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let params: row::Params<'_> = &[&noted(key), &nonce, &until.unix_micros(), &now.unix_micros()];
        Ok(row::run(&self.client().await?, BEGIN, params).await? == 1)
    }

    async fn end_upload(&self, key: &ObjectKey, nonce: i64, until: Timestamp) -> Result<(), StoreError> {
        let params: row::Params<'_> = &[&noted(key), &nonce, &until.unix_micros()];
        row::run(&self.client().await?, END, params).await?;
        Ok(())
    }

    async fn look_at_object(&self, key: &ObjectKey, until: Timestamp) -> Result<(), StoreError> {
        let params: row::Params<'_> = &[&noted(key), &0_i64, &0_i64, &false, &until.unix_micros()];
        row::run(&self.client().await?, EXPECT, params).await?;
        Ok(())
    }

    async fn ended_uploads(&self, limit: u32, now: Timestamp) -> Result<Vec<ObjectKey>, StoreError> {
        let params: row::Params<'_> = &[&now.unix_micros(), &i64::from(limit)];
        let notes: Vec<String> = row::all(&self.client().await?, ENDED, params, row::only).await?;
        Ok(notes.into_iter().map(from_note).collect())
    }

    async fn ended_uploads_of(&self, key: &ObjectKey, now: Timestamp) -> Result<Option<Ended>, StoreError> {
        let read = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        Ok(ended(row::all(&self.client().await?, OF_OBJECT, &[&noted(key)], read).await?, now))
    }

    async fn settle_size(
        &self,
        key: &ObjectKey,
        ended: &Ended,
        stored: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        write!(self, tx => settle(tx, key, &ended.nonces, stored, now))
    }
}

const EXPECT: &str = "
    INSERT INTO expected_upload (object, nonce, size, creates, until) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING";

const MAY_APPEAR: &str = "
    SELECT max(size) FROM expected_upload WHERE object = $1 AND creates AND until > $2";

/// What a link may do, and how much may be stored under its name.
pub(super) struct Terms {
    /// Whether it goes straight to the storage, which lets it store only where no object is.
    pub(super) creates: bool,
    pub(super) size: i64,
}

/// A link of a record that was removed may still create an object that is larger than what is announced now.
pub(super) async fn terms(
    tx: &impl Db,
    key: &ObjectKey,
    exist: bool,
    size: i64,
    link: Option<NewLink>,
    now: Timestamp,
) -> Result<Terms, StoreError> {
    let may_create = link.is_some_and(|link| link.may_create);
    if exist {
        return Ok(Terms { creates: false, size });
    }
    let largest: Option<i64> =
        row::one(tx, MAY_APPEAR, &[&noted(key), &now.unix_micros()], |row| Ok(row.try_get(0)?)).await?;
    Ok(Terms { creates: may_create && largest.is_none(), size: size.max(largest.unwrap_or(0)) })
}

/// Notes that an upload may come.
pub(super) async fn expect(
    tx: &impl Db,
    key: &ObjectKey,
    terms: &Terms,
    link: Option<NewLink>,
) -> Result<(), StoreError> {
    let Some(NewLink { nonce, until, .. }) = link else { return Ok(()) };
    let params: row::Params<'_> = &[&noted(key), &nonce, &terms.size, &terms.creates, &until.unix_micros()];
    row::run_one(tx, EXPECT, params).await
}

const FORGET: &str = "DELETE FROM expected_upload WHERE object = $1 AND NOT creates";

/// Links end with their record. Those that lead straight to the storage can't be ended.
pub(super) async fn forget(tx: &impl Db, key: &ObjectKey) -> Result<(), StoreError> {
    row::run(tx, FORGET, &[&noted(key)]).await?;
    Ok(())
}

const BEGIN: &str = "
    UPDATE expected_upload SET until = $3 WHERE object = $1 AND nonce = $2 AND NOT creates AND until > $4";

const END: &str = "UPDATE expected_upload SET until = $3 WHERE object = $1 AND nonce = $2 AND NOT creates";

const ENDED: &str = "
    SELECT DISTINCT object FROM expected_upload e WHERE until <= $1
      AND NOT EXISTS (SELECT 1 FROM expected_upload o WHERE o.object = e.object AND o.until > $1 AND NOT o.creates)
    LIMIT $2";

const OF_OBJECT: &str = "SELECT nonce, creates, until FROM expected_upload WHERE object = $1 ORDER BY nonce";

const NONCES: &str = "SELECT nonce FROM expected_upload WHERE object = $1 ORDER BY nonce";

/// A link that may still create the object stays noted until it ends: the record may be removed before.
const FORGET_ENDED: &str = "DELETE FROM expected_upload WHERE object = $1 AND (NOT creates OR until <= $2)";

/// Announcements wait.
const LOCK_GROUP: &str = "SELECT id FROM groups WHERE name = $1 FOR UPDATE";

/// Announcements, and the commit of an attempt, wait.
const LOCK_TASK: &str = "
    SELECT t.id, t.group_id FROM task t JOIN groups g ON g.id = t.group_id WHERE t.uuid = $1
    FOR UPDATE OF t, g";

const SET_ATTACHMENT: &str = "
    WITH before AS (SELECT size FROM attachment WHERE group_id = $1 AND key = $2)
    UPDATE attachment a SET size = $3 FROM before WHERE a.group_id = $1 AND a.key = $2 RETURNING before.size";

const SET_ARTIFACT: &str = "
    WITH before AS (SELECT id, size FROM artifact WHERE task_id = $1 AND object = $2 AND visible)
    UPDATE artifact a SET size = $3 FROM before WHERE a.id = before.id RETURNING before.size";

const CHARGE: &str = "UPDATE groups SET storage_used = storage_used + $2 WHERE id = $1";

/// The record of an object, locked.
enum Owner {
    Group(i64),
    Task { id: i64, group: i64 },
}

async fn lock(tx: &impl Db, key: &ObjectKey) -> Result<Option<Owner>, StoreError> {
    let owner = key.path().split_once('/').map_or("", |(owner, _)| owner);
    match key.class() {
        ObjectClass::Attachments => {
            Ok(row::optional(tx, LOCK_GROUP, &[&owner], row::only::<i64>).await?.map(Owner::Group))
        }
        ObjectClass::Artifacts => {
            let Ok(task) = Uuid::try_parse(owner) else { return Ok(None) };
            let read = |row: &Row| Ok(Owner::Task { id: row.try_get(0)?, group: row.try_get(1)? });
            row::optional(tx, LOCK_TASK, &[&task], read).await
        }
    }
}

async fn settle(
    tx: &impl Db,
    key: &ObjectKey,
    nonces: &[i64],
    stored: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (owner, note) = (lock(tx, key).await?, noted(key));
    let present: Vec<i64> = row::all(tx, NONCES, &[&note], row::only).await?;
    if present != nonces {
        return Ok(());
    }
    row::run(tx, FORGET_ENDED, &[&note, &now.unix_micros()]).await?;
    let (group, recorded) = match owner {
        None => return Ok(()),
        Some(Owner::Group(group)) => {
            let name = key.path().split_once('/').map_or("", |(_, name)| name);
            (group, row::optional(tx, SET_ATTACHMENT, &[&group, &name, &stored], row::only::<i64>).await?)
        }
        Some(Owner::Task { id, group }) => {
            (group, row::optional(tx, SET_ARTIFACT, &[&id, &key.path(), &stored], row::only::<i64>).await?)
        }
    };
    let Some(recorded) = recorded else { return Ok(()) };
    row::run_one(tx, CHARGE, &[&group, &(stored - recorded)]).await
}
