//! Deletes objects that no record needs any more.

use std::time::Duration;

use mitosis_domain::object::ObjectKey;
use mitosis_objects::ObjectStore;
use mitosis_store::{Store, StoreError};

use super::Report;
use crate::api::UPLOAD_VALID;
use crate::api::objects::uploads::Uploads;
use crate::app::App;
use crate::error::ApiError;

/// How often to look.
pub(super) const PERIOD: Duration = Duration::from_secs(30);
/// Most objects that one pass deletes.
const BATCH_SIZE: u32 = 100;
/// How long links to an object may work after it was noted: a late upload is removed after that. Their
/// bytes may be on the way for a while.
const LINKS: Duration = Duration::from_secs(UPLOAD_VALID.as_secs() + 600);
/// When to try again what could not be deleted.
const PATIENCE: Duration = Duration::from_mins(5);

/// Deletes objects without a record.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    let mut deleted = 0;
    loop {
        let garbage = app.store.garbage(BATCH_SIZE, app.now()).await?;
        let (mut gone, mut left) = (Vec::new(), Vec::new());
        for key in &garbage {
            match delete(&*app.store, &*app.objects, &app.uploads, key).await? {
                true => gone.push(key.clone()),
                false => left.push(key.clone()),
            }
        }
        app.store.settle_garbage(&gone, LINKS, app.now()).await?;
        app.store.defer_garbage(&left, app.now() + PATIENCE).await?;
        deleted += gone.len();
        if garbage.len() < BATCH_SIZE as usize {
            return Ok(Report::new([("deleted objects", deleted as u64)]));
        }
    }
}

/// Whether an object is gone. One that can't be deleted does not keep the others.
async fn delete(
    store: &dyn Store,
    objects: &dyn ObjectStore,
    uploads: &Uploads,
    key: &ObjectKey,
) -> Result<bool, StoreError> {
    // Nobody stores it meanwhile, and whoever has announced it since then is seen.
    let Some(_place) = uploads.enter(key) else { return Ok(false) };
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
    use mitosis_store::ops::By;
    use mitosis_store::ops::accounts::NewUser;
    use mitosis_store::sqlite::SqliteStore;

    use super::*;

    /// A name may be announced again between the look for garbage and the removal.
    #[tokio::test]
    async fn object_that_is_needed_again_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("state.db")).unwrap());
        let objects: Arc<dyn ObjectStore> =
            Arc::new(DirectoryStore::open(folder.path().join("objects"), Arc::new(OsEntropy)).await.unwrap());
        let (now, name) = (SystemClock.now(), Name::new("ann").unwrap());
        let ann = NewUser { name: name.clone(), password_hash: String::new(), admin: false };
        store.create_user(By::Site, &ann, now).await.unwrap();
        let group = store.group("ann").await.unwrap().unwrap().id;
        store.reserve_attachment(By::Site, group, "x", 3, None, now).await.unwrap();
        let (key, uploads) = (ObjectKey::attachment(&name, "x").unwrap(), Uploads::default());
        let body = futures_util::stream::once(async { Ok("abc".into()) }).boxed();
        objects.put(&key, body, 3).await.unwrap();

        let delete = async || delete(&*store, &*objects, &uploads, &key).await.unwrap();
        let is_there = async || objects.head(&key).await.unwrap().is_some();
        assert!(delete().await, "it is no garbage any more");
        assert!(is_there().await, "a record needs it");
        store.remove_attachment(By::Site, group, "x", now).await.unwrap();
        let upload = uploads.enter(&key).unwrap();
        assert!(!delete().await, "it has to be looked at again");
        assert!(is_there().await, "a request stores it at this moment");
        drop(upload);
        assert!(delete().await);
        assert!(!is_there().await);
    }
}
