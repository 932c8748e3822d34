//! Deletes objects that no record refers to.

use std::time::Duration;

use mitosis_domain::object::ObjectKey;
use mitosis_objects::ObjectStore;
use mitosis_store::{Store, StoreError};

use super::Report;
use crate::api::UPLOAD_VALID;
use crate::api::objects::uploads::ObjectLocks;
use crate::app::App;
use crate::error::ApiError;

/// How often the pass runs.
pub(super) const PERIOD: Duration = Duration::from_secs(30);
/// The largest number of objects in one batch.
const BATCH_SIZE: u32 = 100;
/// How long upload links of an object may be valid after it became garbage, with some time for the transfer. The object
/// is deleted again after that, in case of a late upload.
const LINK_LIFETIME: Duration = Duration::from_secs(UPLOAD_VALID.as_secs() + 600);
/// When to retry a failed deletion.
const RETRY_AFTER: Duration = Duration::from_mins(5);

/// Deletes objects without a record.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    let mut deleted = 0;
    loop {
        let garbage = app.store.garbage(BATCH_SIZE, app.now()).await?;
        let (mut gone, mut left) = (Vec::new(), Vec::new());
        for key in &garbage {
            match delete(&*app.store, &*app.objects, &app.object_locks, key).await? {
                true => gone.push(key.clone()),
                false => left.push(key.clone()),
            }
        }
        app.store.settle_garbage(&gone, LINK_LIFETIME, app.now()).await?;
        app.store.defer_garbage(&left, app.now() + RETRY_AFTER).await?;
        deleted += gone.len();
        if garbage.len() < BATCH_SIZE as usize {
            return Ok(Report::new([("deleted objects", deleted as u64)]));
        }
    }
}

/// Deletes an object. Returns false if it must be retried.
async fn delete(
    store: &dyn Store,
    objects: &dyn ObjectStore,
    object_locks: &ObjectLocks,
    key: &ObjectKey,
) -> Result<bool, StoreError> {
    // The lock keeps uploads out, and the record shows an upload that was reserved in the meantime.
    let Some(_guard) = object_locks.lock(key) else { return Ok(false) };
    if store.upload_target(key).await?.is_some() {
        return Ok(true);
    }
    match objects.delete(key).await {
        Ok(()) => Ok(true),
        Err(error) => {
            tracing::warn!(%key, %error, "failed to delete an object; it will be retried");
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::StreamExt as _;
    use mitosis_domain::clock::{Clock as _, SystemClock};
    use mitosis_domain::entropy::OsEntropy;
    use mitosis_domain::name::Name;
    use mitosis_objects::directory::DirectoryStore;
    use mitosis_store::ops::Actor;
    use mitosis_store::ops::accounts::NewUser;
    use mitosis_store::sqlite::SqliteStore;

    use super::*;

    /// A name may be reserved again between the query for garbage and the deletion.
    #[tokio::test]
    async fn object_with_a_new_record_is_not_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("state.db")).unwrap());
        let objects: Arc<dyn ObjectStore> =
            Arc::new(DirectoryStore::open(folder.path().join("objects"), Arc::new(OsEntropy)).await.unwrap());
        let (now, name) = (SystemClock.now(), Name::new("ann").unwrap());
        let ann = NewUser { name: name.clone(), password_hash: String::new(), admin: false };
        store.create_user(Actor::System, &ann, now).await.unwrap();
        let group = store.group("ann").await.unwrap().unwrap().id;
        store.reserve_attachment(Actor::System, group, "x", 3, None, now).await.unwrap();
        let (key, object_locks) = (ObjectKey::attachment(&name, "x").unwrap(), ObjectLocks::default());
        let body = futures_util::stream::once(async { Ok("abc".into()) }).boxed();
        objects.put(&key, body, 3).await.unwrap();

        let delete = async || delete(&*store, &*objects, &object_locks, &key).await.unwrap();
        let is_there = async || objects.head(&key).await.unwrap().is_some();
        assert!(delete().await, "it is no longer garbage");
        assert!(is_there().await, "a record refers to it");
        store.remove_attachment(Actor::System, group, "x", now).await.unwrap();
        let upload = object_locks.lock(&key).unwrap();
        assert!(!delete().await, "the deletion must be retried");
        assert!(is_there().await, "a request is writing it");
        drop(upload);
        assert!(delete().await);
        assert!(!is_there().await);
    }
}
