//! The store as a whole: it responds, closes, and keeps what it acknowledged.

use mitosis_store::StoreError;
use mitosis_store::ops::SchemaVersion;

use crate::backend::Backend;
use crate::harness::Harness;

pub(crate) async fn open_store_responds_to_ping<B: Backend>(harness: &mut Harness<B>) {
    harness.store().ping().await.unwrap();
    harness.restart().await;
    harness.store().ping().await.unwrap();
}

pub(crate) async fn schema_version_is_compared_with_the_known_one<B: Backend>(harness: &mut Harness<B>) {
    let schema = harness.store().schema().await.unwrap();
    assert!(schema.found >= 3 && schema.found == schema.known, "{schema:?}");
    let later = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
        VALUES (999, 'later', '', '0') RETURNING CAST(version AS BIGINT)";
    harness.scalar(later).await;
    assert_eq!(harness.store().schema().await.unwrap(), SchemaVersion { found: 999, ..schema });
}

pub(crate) async fn closed_store_fails_with_closed<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let store = harness.store();
    store.close().await;
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Closed)));
    assert!(matches!(store.user("ann").await, Err(StoreError::Closed)));
    let submission = store.submit(ann.user, &[harness.task(ann.group)], None, harness.now).await;
    assert!(matches!(submission, Err(StoreError::Closed)), "{submission:?}");
    drop(store);
    harness.restart().await;
    assert!(harness.store().user("ann").await.unwrap().is_some());
}
