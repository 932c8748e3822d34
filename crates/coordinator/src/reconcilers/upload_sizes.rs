//! Sets the size in records of uploads to the stored size, once no upload of a user can change it.

use std::time::Duration;

use mitosis_objects::{ObjectError, ObjectStore};
use mitosis_protocol::Timestamp;
use mitosis_store::Store;

use super::Report;
use crate::api::objects::uploads::settle;
use crate::app::App;
use crate::error::ApiError;

/// How often the pass runs.
pub(super) const PERIOD: Duration = Duration::from_secs(30);
/// The largest number of objects in one pass.
const BATCH_SIZE: u32 = 100;

/// Settles the sizes of ended uploads.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    settle_ended(&*app.store, &*app.objects, app.now()).await
}

async fn settle_ended(
    store: &dyn Store,
    objects: &dyn ObjectStore,
    now: Timestamp,
) -> Result<Report, ApiError> {
    let mut settled = 0;
    for key in store.ended_uploads(BATCH_SIZE, now).await? {
        match settle(store, objects, &key, now).await {
            Err(ApiError::Objects(error)) if !matches!(error, ObjectError::Unreachable { .. }) => {
                tracing::warn!(%key, %error, "failed to check the size of an object");
            }
            outcome => {
                outcome?;
                settled += 1;
            }
        }
    }
    Ok(Report::new([("settled uploads", settled)]))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::StreamExt as _;
    use mitosis_domain::clock::{Clock as _, SystemClock};
    use mitosis_domain::entropy::OsEntropy;
    use mitosis_domain::name::Name;
    use mitosis_domain::object::ObjectKey;
    use mitosis_objects::directory::DirectoryStore;
    use mitosis_store::ops::Actor;
    use mitosis_store::ops::accounts::NewUser;
    use mitosis_store::ops::expected_uploads::NewLink;
    use mitosis_store::sqlite::SqliteStore;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn missing_upload_is_not_charged_forever() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("state.db")).unwrap());
        let objects: Arc<dyn ObjectStore> =
            Arc::new(DirectoryStore::open(folder.path().join("objects"), Arc::new(OsEntropy)).await.unwrap());
        let (now, name) = (SystemClock.now(), Name::new("ann").unwrap());
        let ann = NewUser { name: name.clone(), password_hash: String::new(), admin: false };
        store.create_user(Actor::System, &ann, now).await.unwrap();
        let group = store.group("ann").await.unwrap().unwrap().id;
        for (nonce, key, stored, may_create) in
            [(1, "kept", Some("abc"), false), (2, "none", None, false), (3, "new", None, true)]
        {
            if let Some(stored) = stored {
                let key = ObjectKey::attachment(&name, key).unwrap();
                let body = futures_util::stream::once(async { Ok(stored.into()) }).boxed();
                objects.put(&key, body, 3).await.unwrap();
            }
            let link = NewLink { nonce, until: now + HOUR, may_create };
            store.reserve_attachment(Actor::System, group, key, 9, Some(link), now).await.unwrap();
        }
        let sizes = async |now| {
            settle_ended(&*store, &*objects, now).await.unwrap();
            let mut sizes = Vec::new();
            for key in ["kept", "none", "new"] {
                sizes.push(store.attachment(group, key).await.unwrap().unwrap().size);
            }
            (sizes, store.group("ann").await.unwrap().unwrap().storage_used)
        };
        assert_eq!(sizes(now + HOUR - Duration::from_secs(1)).await, (vec![9, 9, 9], 27));
        assert_eq!(sizes(now + HOUR).await, (vec![3, 0, 0], 3));
        assert!(store.ended_uploads(9, now + HOUR).await.unwrap().is_empty(), "each is settled once");
    }
}
