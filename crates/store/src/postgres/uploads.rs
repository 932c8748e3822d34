//! Bytes on their way to a record, and objects that no record needs any more.

use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::row::{self, Columns, Db};
use super::{PostgresStore, write};
use crate::StoreError;
use crate::ops::uploads::{UploadTarget, Uploads, Waits, artifact_waits, from_note, noted};

#[async_trait]
impl Uploads for PostgresStore {
    async fn upload_target(&self, key: &ObjectKey) -> Result<Option<UploadTarget>, StoreError> {
        target(&self.client().await?, key).await
    }

    async fn use_link(&self, digest: &[u8; 32], until: Timestamp) -> Result<bool, StoreError> {
        let params: row::Params<'_> = &[&digest.as_slice(), &until.unix_micros()];
        Ok(row::run(&self.client().await?, USE_LINK, params).await? == 1)
    }

    async fn return_link(&self, digest: &[u8; 32]) -> Result<(), StoreError> {
        row::run(&self.client().await?, RETURN_LINK, &[&digest.as_slice()]).await?;
        Ok(())
    }

    async fn discard_object(&self, key: &ObjectKey, now: Timestamp) -> Result<(), StoreError> {
        let note = noted(key);
        row::run(&self.client().await?, NOTE_GARBAGE, &[&note, &now.unix_micros()]).await?;
        Ok(())
    }

    async fn garbage(&self, limit: u32, now: Timestamp) -> Result<Vec<ObjectKey>, StoreError> {
        let params: row::Params<'_> = &[&now.unix_micros(), &i64::from(limit)];
        let notes: Vec<String> = row::all(&self.client().await?, DUE_GARBAGE, params, row::only).await?;
        Ok(notes.into_iter().map(from_note).collect())
    }

    async fn settle_garbage(
        &self,
        objects: &[ObjectKey],
        links: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let notes: Vec<String> = objects.iter().map(noted).collect();
        write!(self, tx => settle(tx, &notes, links, now))
    }

    async fn defer_garbage(&self, objects: &[ObjectKey], until: Timestamp) -> Result<(), StoreError> {
        let notes: Vec<String> = objects.iter().map(noted).collect();
        row::run(&self.client().await?, DEFER, &[&notes, &until.unix_micros()]).await?;
        Ok(())
    }
}

const ARTIFACT_OF_OBJECT: &str = "
    SELECT a.size, a.visible, a.epoch FROM task t JOIN artifact a ON a.task_id = t.id
    WHERE t.uuid = $1 AND a.object = $2";

const ATTACHMENT_OF_OBJECT: &str = "
    SELECT a.size FROM groups g JOIN attachment a ON a.group_id = g.id WHERE g.name = $1 AND a.key = $2";

async fn target(db: &impl Db, key: &ObjectKey) -> Result<Option<UploadTarget>, StoreError> {
    let Some((owner, rest)) = key.path().split_once('/') else { return Ok(None) };
    match key.class() {
        ObjectClass::Attachments => {
            row::optional(db, ATTACHMENT_OF_OBJECT, &[&owner, &rest], |row| {
                Ok(UploadTarget { size: row.value("size")?, waits: Waits::ForUser })
            })
            .await
        }
        ObjectClass::Artifacts => {
            let Ok(task) = Uuid::try_parse(owner) else { return Ok(None) };
            row::optional(db, ARTIFACT_OF_OBJECT, &[&task, &key.path()], |row| {
                let waits = artifact_waits(row.value("visible")?, row.value("epoch")?);
                Ok(UploadTarget { size: row.value("size")?, waits })
            })
            .await
        }
    }
}

const USE_LINK: &str = "INSERT INTO used_link (digest, until) VALUES ($1, $2) ON CONFLICT DO NOTHING";

const RETURN_LINK: &str = "DELETE FROM used_link WHERE digest = $1";

const FORGET_LINKS: &str = "DELETE FROM used_link WHERE until < $1";

const NOTE_GARBAGE: &str = "
    INSERT INTO garbage (object, since) VALUES ($1, $2)
    ON CONFLICT (object) DO UPDATE SET since = excluded.since, due = 0";

const DUE_GARBAGE: &str = "SELECT object FROM garbage WHERE due <= $1 ORDER BY due, object LIMIT $2";

const FORGET_GARBAGE: &str = "DELETE FROM garbage WHERE object = ANY($1) AND since <= $2";

/// When the last link to it has ended.
const LOOK_AGAIN: &str = "UPDATE garbage SET due = since + $2 WHERE object = ANY($1)";

const DEFER: &str = "UPDATE garbage SET due = $2 WHERE object = ANY($1)";

async fn settle(tx: &impl Db, notes: &[String], links: Duration, now: Timestamp) -> Result<(), StoreError> {
    let noted_before = now - links;
    let life = i64::try_from(links.as_micros()).unwrap_or(i64::MAX);
    row::run(tx, FORGET_GARBAGE, &[&notes, &noted_before.unix_micros()]).await?;
    row::run(tx, LOOK_AGAIN, &[&notes, &life]).await?;
    row::run(tx, FORGET_LINKS, &[&now.unix_micros()]).await?;
    Ok(())
}
