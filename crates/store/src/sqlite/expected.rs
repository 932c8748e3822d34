//! Uploads by users that may still come, and what is stored once they can't.

use async_trait::async_trait;
use mitosis_domain::ids::GroupId;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::SqliteStore;
use super::row::Run;
use crate::StoreError;
use crate::ops::expected::{Ended, ExpectedUploads, NewLink, ended};
use crate::ops::uploads::{from_note, noted};

#[async_trait]
impl ExpectedUploads for SqliteStore {
    async fn begin_upload(
        &self,
        key: &ObjectKey,
        nonce: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let note = noted(key);
        let params = (note, nonce, until.unix_micros(), now.unix_micros());
        self.write(move |db| Ok(db.run(BEGIN, params)? == 1)).await
    }

    async fn end_upload(&self, key: &ObjectKey, nonce: i64, until: Timestamp) -> Result<(), StoreError> {
        let note = noted(key);
        self.write(move |db| db.run(END, params![note, nonce, until.unix_micros()]).map(drop)).await
    }

    async fn look_at_object(&self, key: &ObjectKey, until: Timestamp) -> Result<(), StoreError> {
        let note = noted(key);
        self.write(move |db| db.run(EXPECT, params![note, 0, 0, false, until.unix_micros()]).map(drop)).await
    }

    async fn ended_uploads(&self, limit: u32, now: Timestamp) -> Result<Vec<ObjectKey>, StoreError> {
        self.read(move |db| {
            db.all(ENDED, params![now.unix_micros(), limit], |row| Ok(from_note(row.get(0)?)))
        })
        .await
    }

    async fn ended_uploads_of(&self, key: &ObjectKey, now: Timestamp) -> Result<Option<Ended>, StoreError> {
        let note = noted(key);
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        Ok(ended(self.read(move |db| db.all(OF_OBJECT, [note], read)).await?, now))
    }

    async fn settle_size(
        &self,
        key: &ObjectKey,
        ended: &Ended,
        stored: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (key, nonces) = (key.clone(), ended.nonces.clone());
        self.write(move |db| settle(db, &key, &nonces, stored, now)).await
    }
}

const EXPECT: &str = "
    INSERT INTO expected_upload (object, nonce, size, creates, until) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO NOTHING";

const MAY_APPEAR: &str = "
    SELECT max(size) FROM expected_upload WHERE object = ?1 AND creates AND until > ?2";

/// What a link may do, and how much may be stored under its name.
pub(super) struct Terms {
    /// Whether it goes straight to the storage, which lets it store only where no object is.
    pub(super) creates: bool,
    pub(super) size: i64,
}

/// A link of a record that was removed may still create an object that is larger than what is announced now.
pub(super) fn terms(
    db: &Connection,
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
        db.one(MAY_APPEAR, params![noted(key), now.unix_micros()], |row| Ok(row.get(0)?))?;
    Ok(Terms { creates: may_create && largest.is_none(), size: size.max(largest.unwrap_or(0)) })
}

/// Notes that an upload may come.
pub(super) fn expect(
    db: &Connection,
    key: &ObjectKey,
    terms: &Terms,
    link: Option<NewLink>,
) -> Result<(), StoreError> {
    let Some(NewLink { nonce, until, .. }) = link else { return Ok(()) };
    db.run_one(EXPECT, params![noted(key), nonce, terms.size, terms.creates, until.unix_micros()])
}

const FORGET: &str = "DELETE FROM expected_upload WHERE object = ?1 AND NOT creates";

/// Links end with their record. Those that lead straight to the storage can't be ended.
pub(super) fn forget(db: &Connection, key: &ObjectKey) -> Result<(), StoreError> {
    db.run(FORGET, [noted(key)]).map(drop)
}

const BEGIN: &str = "
    UPDATE expected_upload SET until = ?3 WHERE object = ?1 AND nonce = ?2 AND NOT creates AND until > ?4";

const END: &str = "UPDATE expected_upload SET until = ?3 WHERE object = ?1 AND nonce = ?2 AND NOT creates";

const ENDED: &str = "
    SELECT DISTINCT object FROM expected_upload e WHERE until <= ?1
      AND NOT EXISTS (SELECT 1 FROM expected_upload o WHERE o.object = e.object AND o.until > ?1 AND NOT o.creates)
    LIMIT ?2";

const OF_OBJECT: &str = "SELECT nonce, creates, until FROM expected_upload WHERE object = ?1 ORDER BY nonce";

const NONCES: &str = "SELECT nonce FROM expected_upload WHERE object = ?1 ORDER BY nonce";

/// A link that may still create the object stays noted until it ends: the record may be removed before.
const FORGET_ENDED: &str = "DELETE FROM expected_upload WHERE object = ?1 AND (NOT creates OR until <= ?2)";

const ATTACHMENT: &str = "
    SELECT g.id, a.size FROM groups g JOIN attachment a ON a.group_id = g.id WHERE g.name = ?1 AND a.key = ?2";

const ARTIFACT: &str = "
    SELECT t.group_id, a.size FROM task t JOIN artifact a ON a.task_id = t.id
    WHERE t.uuid = ?1 AND a.object = ?2 AND a.visible";

const SET_ATTACHMENT: &str = "UPDATE attachment SET size = ?3 WHERE group_id = ?1 AND key = ?2";

const SET_ARTIFACT: &str = "
    UPDATE artifact SET size = ?3 WHERE task_id = (SELECT id FROM task WHERE uuid = ?1) AND object = ?2 AND visible";

const CHARGE: &str = "UPDATE groups SET storage_used = storage_used + ?2 WHERE id = ?1";

fn settle(
    db: &Connection,
    key: &ObjectKey,
    nonces: &[i64],
    stored: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let note = noted(key);
    let present: Vec<i64> = db.all(NONCES, [&note], |row| Ok(row.get(0)?))?;
    if present != nonces {
        return Ok(());
    }
    db.run(FORGET_ENDED, params![note, now.unix_micros()])?;
    let Some((owner, rest)) = key.path().split_once('/') else { return Ok(()) };
    let read = |row: &rusqlite::Row<'_>| Ok((GroupId(row.get(0)?), row.get::<_, i64>(1)?));
    let (group, recorded) = match key.class() {
        ObjectClass::Attachments => {
            let Some((group, recorded)) = db.optional(ATTACHMENT, params![owner, rest], read)? else {
                return Ok(());
            };
            db.run_one(SET_ATTACHMENT, params![group.0, rest, stored])?;
            (group, recorded)
        }
        ObjectClass::Artifacts => {
            let Ok(task) = Uuid::try_parse(owner) else { return Ok(()) };
            let Some(found) = db.optional(ARTIFACT, params![task.as_bytes(), key.path()], read)? else {
                return Ok(());
            };
            db.run_one(SET_ARTIFACT, params![task.as_bytes(), key.path(), stored])?;
            found
        }
    };
    db.run_one(CHARGE, params![group.0, stored - recorded])
}
