//! Uploads to records, and objects that no record needs any more.

use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::object::{ObjectKey, Owner};
use mitosis_protocol::{Epoch, Timestamp};

use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, List, Params, Sql, sql};
use crate::ops::uploads::{AwaitedUpload, UploadTarget, Uploads, awaited_upload, from_stored, to_stored};

#[async_trait]
impl<B: Backend> Uploads for B {
    async fn upload_target(&self, key: &ObjectKey) -> Result<Option<UploadTarget>, StoreError> {
        self.read(key.clone(), |db, key| Box::pin(target(db, key))).await
    }

    async fn use_link(&self, digest: &[u8; 32], until: Timestamp) -> Result<bool, StoreError> {
        let used = self.write_statement((*digest, until), |db, (digest, until)| {
            Box::pin(async move { db.run(USE_LINK, &[&digest.as_slice(), &until.unix_micros()]).await })
        });
        Ok(used.await? == 1)
    }

    async fn return_link(&self, digest: &[u8; 32]) -> Result<(), StoreError> {
        self.write_statement(*digest, |db, digest| {
            Box::pin(async move { db.run(RETURN_LINK, &[&digest.as_slice()]).await.map(drop) })
        })
        .await
    }

    async fn discard_object(&self, key: &ObjectKey, now: Timestamp) -> Result<(), StoreError> {
        self.write_statement((to_stored(key), now), |db, (note, now)| {
            Box::pin(async move { db.run(RECORD_GARBAGE, &[note, &now.unix_micros()]).await.map(drop) })
        })
        .await
    }

    async fn garbage(&self, limit: u32, now: Timestamp) -> Result<Vec<ObjectKey>, StoreError> {
        self.read((limit, now), |db, (limit, now)| {
            Box::pin(async move {
                let params: Params<'_> = &[&now.unix_micros(), &i64::from(*limit)];
                db.all(DUE_GARBAGE, params, |row| row.get(0).map(from_stored)).await
            })
        })
        .await
    }

    async fn settle_garbage(
        &self,
        objects: &[ObjectKey],
        links: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let notes: Vec<String> = objects.iter().map(to_stored).collect();
        self.write((notes, links, now), |db, (notes, links, now)| Box::pin(settle(db, notes, *links, *now)))
            .await
    }

    async fn defer_garbage(&self, objects: &[ObjectKey], until: Timestamp) -> Result<(), StoreError> {
        let notes: Vec<String> = objects.iter().map(to_stored).collect();
        self.write_statement((notes, until), |db, (notes, until)| {
            Box::pin(async move { db.run(DEFER, &[&List(notes), &until.unix_micros()]).await.map(drop) })
        })
        .await
    }
}

const ARTIFACT_OF_OBJECT: Sql = sql!(
    "
    SELECT a.size, a.visible, a.epoch FROM task t JOIN artifact a ON a.task_id = t.id
    WHERE t.uuid = $1 AND a.object = $2"
);

const ATTACHMENT_OF_OBJECT: Sql = sql!(
    "
    SELECT a.size FROM groups g JOIN attachment a ON a.group_id = g.id WHERE g.name = $1 AND a.key = $2"
);

async fn target(db: Db<'_>, key: &ObjectKey) -> Result<Option<UploadTarget>, StoreError> {
    match key.owner() {
        None => Ok(None),
        Some(Owner::Group { name, key }) => {
            db.optional(ATTACHMENT_OF_OBJECT, &[&name, &key], |row| {
                Ok(UploadTarget { size: row.value("size")?, awaits: AwaitedUpload::OfUser })
            })
            .await
        }
        Some(Owner::Task(task)) => {
            db.optional(ARTIFACT_OF_OBJECT, &[&task, &key.path()], |row| {
                let awaits = awaited_upload(row.value("visible")?, Epoch(row.value("epoch")?));
                Ok(UploadTarget { size: row.value("size")?, awaits })
            })
            .await
        }
    }
}

const USE_LINK: Sql = sql!("INSERT INTO used_link (digest, until) VALUES ($1, $2) ON CONFLICT DO NOTHING");

const RETURN_LINK: Sql = sql!("DELETE FROM used_link WHERE digest = $1");

const DELETE_LINKS: Sql = sql!("DELETE FROM used_link WHERE until < $1");

const RECORD_GARBAGE: Sql = sql!(
    "
    INSERT INTO garbage (object, since) VALUES ($1, $2)
    ON CONFLICT (object) DO UPDATE SET since = excluded.since, due = 0"
);

const DUE_GARBAGE: Sql = sql!("SELECT object FROM garbage WHERE due <= $1 ORDER BY due, object LIMIT $2");

const DELETE_GARBAGE: Sql = sql!("DELETE FROM garbage WHERE object = ANY($1) AND since <= $2");

/// Makes objects due again when the last link to them has expired.
const RECHECK: Sql = sql!("UPDATE garbage SET due = since + $2 WHERE object = ANY($1)");

const DEFER: Sql = sql!("UPDATE garbage SET due = $2 WHERE object = ANY($1)");

async fn settle(db: Db<'_>, notes: &[String], links: Duration, now: Timestamp) -> Result<(), StoreError> {
    let noted_before = now - links;
    let life = i64::try_from(links.as_micros()).unwrap_or(i64::MAX);
    db.run(DELETE_GARBAGE, &[&List(notes), &noted_before.unix_micros()]).await?;
    db.run(RECHECK, &[&List(notes), &life]).await?;
    db.run(DELETE_LINKS, &[&now.unix_micros()]).await?;
    Ok(())
}
