//! The store as a whole: it answers, it closes, and what it acknowledged is there again.

use mitosis_store::Fault;

use crate::backend::Backend;
use crate::stage::Stage;

pub(crate) async fn an_open_store_answers<B: Backend>(stage: &mut Stage<B>) {
    stage.store().ping().await.unwrap();
    stage.restart().await;
    stage.store().ping().await.unwrap();
}

pub(crate) async fn a_closed_store_says_that_it_is_closed<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let store = stage.store();
    store.close().await;
    store.close().await;
    assert!(matches!(store.ping().await, Err(Fault::Closed)));
    assert!(matches!(store.user("ann").await, Err(Fault::Closed)));
    let submission = store.submit(ann.user, &[stage.task(ann.group)], None, stage.now).await;
    assert!(matches!(submission, Err(Fault::Closed)), "{submission:?}");
    drop(store);
    stage.restart().await;
    assert!(stage.store().user("ann").await.unwrap().is_some());
}
