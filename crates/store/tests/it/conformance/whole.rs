//! The store as a whole: it answers, it closes, and what it acknowledged is there again.

use mitosis_store::StoreError;
use mitosis_store::ops::SchemaVersion;

use crate::backend::Backend;
use crate::stage::Stage;

pub(crate) async fn an_open_store_answers<B: Backend>(stage: &mut Stage<B>) {
    stage.store().ping().await.unwrap();
    stage.restart().await;
    stage.store().ping().await.unwrap();
}

pub(crate) async fn the_schema_is_known_to_be_current_or_not<B: Backend>(stage: &mut Stage<B>) {
    let schema = stage.store().schema().await.unwrap();
    assert!(schema.found >= 3 && schema.found == schema.known, "{schema:?}");
    let later = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
        VALUES (999, 'later', '', '0') RETURNING CAST(version AS BIGINT)";
    stage.scalar(later).await;
    assert_eq!(stage.store().schema().await.unwrap(), SchemaVersion { found: 999, ..schema });
}

pub(crate) async fn a_closed_store_says_that_it_is_closed<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let store = stage.store();
    store.close().await;
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Closed)));
    assert!(matches!(store.user("ann").await, Err(StoreError::Closed)));
    let submission = store.submit(ann.user, &[stage.task(ann.group)], None, stage.now).await;
    assert!(matches!(submission, Err(StoreError::Closed)), "{submission:?}");
    drop(store);
    stage.restart().await;
    assert!(stage.store().user("ann").await.unwrap().is_some());
}
