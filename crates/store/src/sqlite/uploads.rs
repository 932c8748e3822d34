//! Bytes on their way to a record, and objects that no record needs any more.

use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::SqliteStore;
use super::row::{Columns, Run};
use crate::StoreError;
use crate::ops::uploads::{UploadTarget, Uploads, Waits, artifact_waits, from_note, noted};

#[async_trait]
impl Uploads for SqliteStore {
    async fn upload_target(&self, key: &ObjectKey) -> Result<Option<UploadTarget>, StoreError> {
        let key = key.clone();
        self.read(move |db| target(db, &key)).await
    }

    async fn use_link(&self, digest: &[u8; 32], until: Timestamp) -> Result<bool, StoreError> {
        let digest = *digest;
        self.write(move |db| Ok(db.run(USE_LINK, params![digest, until.unix_micros()])? == 1)).await
    }

    async fn return_link(&self, digest: &[u8; 32]) -> Result<(), StoreError> {
        let digest = *digest;
        self.write(move |db| db.run(RETURN_LINK, params![digest]).map(drop)).await
    }

    async fn discard_object(&self, key: &ObjectKey, now: Timestamp) -> Result<(), StoreError> {
        let note = noted(key);
        self.write(move |db| db.run(NOTE_GARBAGE, params![note, now.unix_micros()]).map(drop)).await
    }

    async fn garbage(&self, limit: u32, now: Timestamp) -> Result<Vec<ObjectKey>, StoreError> {
        self.read(move |db| {
            db.all(DUE_GARBAGE, params![now.unix_micros(), limit], |row| Ok(from_note(row.get(0)?)))
        })
        .await
    }

    async fn settle_garbage(
        &self,
        objects: &[ObjectKey],
        links: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let notes: Vec<String> = objects.iter().map(noted).collect();
        let noted_before = (now - links).unix_micros();
        let life = i64::try_from(links.as_micros()).unwrap_or(i64::MAX);
        self.write(move |db| {
            for note in &notes {
                if db.run(FORGET_GARBAGE, params![note, noted_before])? == 0 {
                    db.run(LOOK_AGAIN, params![note, life])?;
                }
            }
            db.run(FORGET_LINKS, [now.unix_micros()]).map(drop)
        })
        .await
    }

    async fn defer_garbage(&self, objects: &[ObjectKey], until: Timestamp) -> Result<(), StoreError> {
        let notes: Vec<String> = objects.iter().map(noted).collect();
        self.write(move |db| {
            notes.iter().try_for_each(|note| db.run(DEFER, params![note, until.unix_micros()]).map(drop))
        })
        .await
    }
}

const ARTIFACT_OF_OBJECT: &str = "
    SELECT a.size, a.visible, a.epoch FROM task t JOIN artifact a ON a.task_id = t.id
    WHERE t.uuid = ?1 AND a.object = ?2";

const ATTACHMENT_OF_OBJECT: &str = "
    SELECT a.size FROM groups g JOIN attachment a ON a.group_id = g.id WHERE g.name = ?1 AND a.key = ?2";

fn target(db: &Connection, key: &ObjectKey) -> Result<Option<UploadTarget>, StoreError> {
    let Some((owner, rest)) = key.path().split_once('/') else { return Ok(None) };
    match key.class() {
        ObjectClass::Attachments => db.optional(ATTACHMENT_OF_OBJECT, params![owner, rest], |row| {
            Ok(UploadTarget { size: row.value("size")?, waits: Waits::ForUser })
        }),
        ObjectClass::Artifacts => {
            let Ok(task) = Uuid::try_parse(owner) else { return Ok(None) };
            db.optional(ARTIFACT_OF_OBJECT, params![task.as_bytes(), key.path()], |row| {
                let waits = artifact_waits(row.value("visible")?, row.value("epoch")?);
                Ok(UploadTarget { size: row.value("size")?, waits })
            })
        }
    }
}

const USE_LINK: &str = "INSERT INTO used_link (digest, until) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

const RETURN_LINK: &str = "DELETE FROM used_link WHERE digest = ?1";

const FORGET_LINKS: &str = "DELETE FROM used_link WHERE until < ?1";

const NOTE_GARBAGE: &str = "
    INSERT INTO garbage (object, since) VALUES (?1, ?2)
    ON CONFLICT (object) DO UPDATE SET since = excluded.since, due = 0";

const DUE_GARBAGE: &str = "SELECT object FROM garbage WHERE due <= ?1 ORDER BY due, object LIMIT ?2";

const FORGET_GARBAGE: &str = "DELETE FROM garbage WHERE object = ?1 AND since <= ?2";

/// When the last link to it has ended.
const LOOK_AGAIN: &str = "UPDATE garbage SET due = since + ?2 WHERE object = ?1";

const DEFER: &str = "UPDATE garbage SET due = ?2 WHERE object = ?1";
