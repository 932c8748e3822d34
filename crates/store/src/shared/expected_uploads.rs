//! Expected uploads by users, and the sizes of stored objects once no more uploads are expected.

use async_trait::async_trait;
use mitosis_domain::object::{ObjectKey, Owner};
use mitosis_protocol::Timestamp;

use super::artifacts::records::CHARGE_STORAGE;
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, Params, Row, Sql, only, sql};
use crate::ops::artifacts::UploadRecord;
use crate::ops::expected_uploads::{EndedUploads, ExpectedUploads, NewLink, ended};
use crate::ops::uploads::{from_stored, to_stored};

#[async_trait]
impl<B: Backend> ExpectedUploads for B {
    async fn begin_upload(
        &self,
        key: &ObjectKey,
        nonce: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write_statement((to_stored(key), nonce, until, now), |db, (note, nonce, until, now)| {
            Box::pin(begin(db, note, *nonce, *until, *now))
        })
        .await
    }

    async fn end_upload(&self, key: &ObjectKey, nonce: i64, until: Timestamp) -> Result<(), StoreError> {
        self.write_statement((to_stored(key), nonce, until), |db, (note, nonce, until)| {
            Box::pin(async move { db.run(END, &[note, nonce, &until.unix_micros()]).await.map(drop) })
        })
        .await
    }

    async fn recheck_object(&self, key: &ObjectKey, until: Timestamp) -> Result<(), StoreError> {
        self.write_statement((to_stored(key), until), |db, (note, until)| Box::pin(recheck(db, note, *until)))
            .await
    }

    async fn ended_uploads(&self, limit: u32, now: Timestamp) -> Result<Vec<ObjectKey>, StoreError> {
        self.read((limit, now), |db, (limit, now)| {
            Box::pin(async move {
                db.all(ENDED, &[&now.unix_micros(), &i64::from(*limit)], |row| row.get(0).map(from_stored))
                    .await
            })
        })
        .await
    }

    async fn ended_uploads_of(
        &self,
        key: &ObjectKey,
        now: Timestamp,
    ) -> Result<Option<EndedUploads>, StoreError> {
        let links = self.read(to_stored(key), |db, note| {
            Box::pin(async move {
                db.all(OF_OBJECT, &[note], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).await
            })
        });
        Ok(ended(links.await?, now))
    }

    async fn settle_size(
        &self,
        key: &ObjectKey,
        ended: &EndedUploads,
        stored: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let arguments = (key.clone(), ended.nonces.clone(), stored, now);
        self.write(arguments, |db, (key, nonces, stored, now)| {
            Box::pin(settle(db, key, nonces, *stored, *now))
        })
        .await
    }
}

const EXPECT: Sql = sql!(
    "
    INSERT INTO expected_upload (object, nonce, size, creates, until) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING"
);

async fn recheck(db: Db<'_>, note: &String, until: Timestamp) -> Result<(), StoreError> {
    db.run(EXPECT, &[note, &0_i64, &0_i64, &false, &until.unix_micros()]).await.map(drop)
}

const MAY_APPEAR: Sql = sql!(
    "
    SELECT max(size) FROM expected_upload WHERE object = $1 AND creates AND until > $2"
);

/// The conditions of a new link.
pub(super) struct Terms {
    pub(super) record: UploadRecord,
    pub(super) size: i64,
}

/// Determines the conditions. A link of a removed record may still create an object that is larger than the
/// size announced now.
pub(super) async fn terms(
    db: Db<'_>,
    key: &ObjectKey,
    has_record: bool,
    size: i64,
    link: Option<NewLink>,
    now: Timestamp,
) -> Result<Terms, StoreError> {
    if has_record {
        return Ok(Terms { record: UploadRecord::Existing, size });
    }
    let largest: Option<i64> = db.one(MAY_APPEAR, &[&to_stored(key), &now.unix_micros()], only).await?;
    let record = match (link, largest) {
        (Some(NewLink { may_create: true, .. }), None) => UploadRecord::NewDirect,
        _ => UploadRecord::New,
    };
    Ok(Terms { record, size: size.max(largest.unwrap_or(0)) })
}

/// Records an expected upload.
pub(super) async fn expect(
    db: Db<'_>,
    key: &ObjectKey,
    terms: &Terms,
    link: Option<NewLink>,
) -> Result<(), StoreError> {
    let Some(NewLink { nonce, until, .. }) = link else { return Ok(()) };
    let creates = terms.record == UploadRecord::NewDirect;
    let params: Params<'_> = &[&to_stored(key), &nonce, &terms.size, &creates, &until.unix_micros()];
    db.run_one(EXPECT, params).await
}

const DELETE: Sql = sql!("DELETE FROM expected_upload WHERE object = $1 AND NOT creates");

/// Deletes the links of a removed record. Links that lead directly to the object store stay valid.
pub(super) async fn delete(db: Db<'_>, key: &ObjectKey) -> Result<(), StoreError> {
    db.run(DELETE, &[&to_stored(key)]).await?;
    Ok(())
}

const BEGIN: Sql = sql!(
    "
    UPDATE expected_upload SET until = $3 WHERE object = $1 AND nonce = $2 AND NOT creates AND until > $4"
);

async fn begin(
    db: Db<'_>,
    note: &String,
    nonce: i64,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(db.run(BEGIN, &[note, &nonce, &until.unix_micros(), &now.unix_micros()]).await? == 1)
}

const END: Sql =
    sql!("UPDATE expected_upload SET until = $3 WHERE object = $1 AND nonce = $2 AND NOT creates");

const ENDED: Sql = sql!("
    SELECT DISTINCT object FROM expected_upload e WHERE until <= $1
      AND NOT EXISTS (SELECT 1 FROM expected_upload o WHERE o.object = e.object AND o.until > $1 AND NOT o.creates)
    LIMIT $2");

const OF_OBJECT: Sql =
    sql!("SELECT nonce, creates, until FROM expected_upload WHERE object = $1 ORDER BY nonce");

const NONCES: Sql = sql!("SELECT nonce FROM expected_upload WHERE object = $1 ORDER BY nonce");

/// A link that may still create the object is kept until it expires, since its record may be removed before.
const DELETE_ENDED: Sql =
    sql!("DELETE FROM expected_upload WHERE object = $1 AND (NOT creates OR until <= $2)");

/// Announcements of uploads wait for this lock.
const LOCK_GROUP: Sql = sql!("SELECT id FROM groups WHERE name = $1 FOR UPDATE");

/// Announcements of uploads and the commit of an attempt wait for this lock.
const LOCK_TASK: Sql = sql!(
    "
    SELECT t.id, t.group_id FROM task t JOIN groups g ON g.id = t.group_id WHERE t.uuid = $1
    FOR UPDATE OF t, g"
);

const ATTACHMENT_SIZE: Sql = sql!("SELECT size FROM attachment WHERE group_id = $1 AND key = $2");

const SET_ATTACHMENT: Sql = sql!("UPDATE attachment SET size = $3 WHERE group_id = $1 AND key = $2");

const ARTIFACT_SIZE: Sql = sql!("SELECT size FROM artifact WHERE task_id = $1 AND object = $2 AND visible");

const SET_ARTIFACT: Sql =
    sql!("UPDATE artifact SET size = $3 WHERE task_id = $1 AND object = $2 AND visible");

/// The locked record of an object.
enum Locked<'a> {
    Attachment { group: i64, key: &'a str },
    Artifact { task: i64, group: i64 },
}

async fn lock<'a>(db: Db<'_>, key: &'a ObjectKey) -> Result<Option<Locked<'a>>, StoreError> {
    match key.owner() {
        None => Ok(None),
        Some(Owner::Group { name, key }) => {
            let group = db.optional(LOCK_GROUP, &[&name], only::<i64>).await?;
            Ok(group.map(|group| Locked::Attachment { group, key }))
        }
        Some(Owner::Task(task)) => {
            let read = |row: &Row<'_>| Ok(Locked::Artifact { task: row.get(0)?, group: row.get(1)? });
            db.optional(LOCK_TASK, &[&task], read).await
        }
    }
}

async fn settle(
    db: Db<'_>,
    key: &ObjectKey,
    nonces: &[i64],
    stored: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (locked, note) = (lock(db, key).await?, to_stored(key));
    let present: Vec<i64> = db.all(NONCES, &[&note], only).await?;
    if present != nonces {
        return Ok(());
    }
    db.run(DELETE_ENDED, &[&note, &now.unix_micros()]).await?;
    let (group, record, name, size, set_size) = match locked {
        None => return Ok(()),
        Some(Locked::Attachment { group, key }) => (group, group, key, ATTACHMENT_SIZE, SET_ATTACHMENT),
        Some(Locked::Artifact { task, group }) => (group, task, key.path(), ARTIFACT_SIZE, SET_ARTIFACT),
    };
    let Some(recorded) = db.optional(size, &[&record, &name], only::<i64>).await? else { return Ok(()) };
    db.run_one(set_size, &[&record, &name, &stored]).await?;
    db.run_one(CHARGE_STORAGE, &[&group, &(stored - recorded)]).await
}
