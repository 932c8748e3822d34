//! Links to records, and objects that no record needs any more.

use std::time::Duration;

use mitosis_domain::object::{ObjectKey, Shelf};
use mitosis_protocol::ArtifactKind::Result as Output;
use mitosis_protocol::Timestamp;
use mitosis_store::ops::By;
use mitosis_store::ops::artifacts::Reservation;
use mitosis_store::ops::dispatch::Holder;
use mitosis_store::ops::expected::{Ended, NewLink};
use mitosis_store::ops::uploads::{UploadTarget, Waits};
use uuid::Uuid;

use crate::backend::Backend;
use crate::stage::{SECOND, Stage};

const HOUR: Duration = Duration::from_hours(1);

fn artifact(reservation: Reservation) -> ObjectKey {
    match reservation {
        Reservation::Reserved { object, .. } => ObjectKey::from_stored(Shelf::Artifacts, object),
        other => panic!("refused: {other:?}"),
    }
}

pub(crate) async fn upload_target_follows_the_record<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    stage.submit_one(&ann).await;
    let held = stage.claim_one(hand).await;
    let holder = Holder::Lease(held.lease);
    let announced = stage.store().reserve_attempt_artifact(holder, Output, 7, stage.now).await.unwrap();
    let of_attempt = artifact(announced);
    let target = |size, waits| Some(UploadTarget { size, waits });
    let found = async |stage: &Stage<B>, key: &ObjectKey| stage.store().upload_target(key).await.unwrap();
    assert_eq!(found(stage, &of_attempt).await, target(7, Waits::ForAttempt));
    stage.finish(&held).await;
    assert_eq!(found(stage, &of_attempt).await, target(7, Waits::Committed));
    stage.store().remove_artifact(By::Site, held.task.uuid, Output, stage.now).await.unwrap();
    assert_eq!(found(stage, &of_attempt).await, None);

    let other = stage.submit_one(&ann).await;
    let by_user =
        artifact(stage.store().reserve_artifact(By::Site, other, Output, 5, None, stage.now).await.unwrap());
    assert_eq!(found(stage, &by_user).await, target(5, Waits::ForUser));
    stage.store().reserve_attachment(By::Site, ann.group, "in/x", 9, None, stage.now).await.unwrap();
    let attachment = ObjectKey::from_stored(Shelf::Attachments, "ann/in/x".to_owned());
    assert_eq!(found(stage, &attachment).await, target(9, Waits::ForUser));
    for path in ["ann/in/y", "bob/in/x", "ann", "", &format!("{}/x", Uuid::from_u128(7))] {
        for shelf in [Shelf::Artifacts, Shelf::Attachments] {
            let unknown = ObjectKey::from_stored(shelf, path.to_owned());
            assert_eq!(found(stage, &unknown).await, None, "{unknown}");
        }
    }
}

pub(crate) async fn links_are_used_once_and_forgotten_with_their_end<B: Backend>(stage: &mut Stage<B>) {
    let (one, other) = ([1; 32], [2; 32]);
    let until = stage.now + HOUR;
    assert!(stage.store().use_link(&one, until).await.unwrap());
    assert!(!stage.store().use_link(&one, until).await.unwrap());
    assert!(stage.store().use_link(&other, until).await.unwrap());
    stage.store().return_link(&other).await.unwrap();
    assert!(stage.store().use_link(&other, until).await.unwrap(), "nothing was stored through it");
    stage.pass(SECOND * 3599);
    stage.store().settle_garbage(&[], HOUR, stage.now).await.unwrap();
    assert!(!stage.store().use_link(&one, until).await.unwrap());
    stage.pass(SECOND * 2);
    stage.store().settle_garbage(&[], HOUR, stage.now).await.unwrap();
    assert!(stage.store().use_link(&one, until).await.unwrap());
}

pub(crate) async fn garbage_is_due_again_when_its_links_have_ended<B: Backend>(stage: &mut Stage<B>) {
    let artifact = ObjectKey::from_stored(Shelf::Artifacts, "a/b".to_owned());
    let attachment = ObjectKey::from_stored(Shelf::Attachments, "a/b".to_owned());
    for key in [&artifact, &attachment] {
        stage.store().discard_object(key, stage.now).await.unwrap();
    }
    let both = stage.store().garbage(10, stage.now).await.unwrap();
    assert_eq!(both, [artifact.clone(), attachment.clone()]);
    stage.store().settle_garbage(std::slice::from_ref(&artifact), HOUR, stage.now).await.unwrap();
    stage.store().defer_garbage(std::slice::from_ref(&attachment), stage.now + SECOND).await.unwrap();
    assert_eq!(stage.store().garbage(10, stage.now).await.unwrap(), []);
    stage.pass(SECOND);
    assert_eq!(stage.store().garbage(10, stage.now).await.unwrap(), std::slice::from_ref(&attachment));
    stage.store().settle_garbage(std::slice::from_ref(&attachment), HOUR, stage.now).await.unwrap();
    stage.pass(HOUR);
    let both = stage.store().garbage(10, stage.now).await.unwrap();
    assert_eq!(both.len(), 2);
    stage.store().settle_garbage(&both, HOUR, stage.now).await.unwrap();
    stage.pass(HOUR * 5);
    assert_eq!(stage.store().garbage(10, stage.now).await.unwrap(), []);
}

fn link(nonce: i64, until: Timestamp, may_create: bool) -> NewLink {
    NewLink { nonce, until, may_create }
}

pub(crate) async fn size_is_that_of_what_is_stored_once_nothing_may_come<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (task, store, until) = (stage.submit_one(&ann).await, stage.store(), stage.now + HOUR);
    let attachment = ObjectKey::from_stored(Shelf::Attachments, "ann/in/x".to_owned());
    let archive = ObjectKey::artifact(task, Output);
    for (nonce, size) in [(7, 100), (-3, 40)] {
        let link = Some(link(nonce, until, false));
        store.reserve_attachment(By::User(ann.user), ann.group, "in/x", size, link, stage.now).await.unwrap();
        store.reserve_artifact(By::User(ann.user), task, Output, size, link, stage.now).await.unwrap();
    }
    assert_eq!(stage.used("ann").await, 200);
    for key in [&attachment, &archive] {
        assert_eq!(store.ended_uploads_of(key, stage.now).await.unwrap(), None);
        assert!(store.begin_upload(key, -3, stage.now + HOUR * 9, stage.now).await.unwrap());
        store.end_upload(key, -3, stage.now).await.unwrap();
        assert!(!store.begin_upload(key, -3, until, stage.now).await.unwrap(), "it has come");
        assert_eq!(store.ended_uploads_of(key, stage.now).await.unwrap(), None, "the larger one may come");
    }
    assert_eq!(store.ended_uploads(9, stage.now).await.unwrap(), []);
    stage.pass(HOUR);
    let store = stage.store();
    assert_eq!(store.ended_uploads(9, stage.now).await.unwrap().len(), 2);
    for (key, left) in [(&attachment, 140), (&archive, 80)] {
        let ended = store.ended_uploads_of(key, stage.now).await.unwrap().unwrap();
        assert_eq!(ended, Ended { nonces: vec![-3, 7], may_appear: false });
        for _ in 0..2 {
            store.settle_size(key, &ended, 40, stage.now).await.unwrap();
            assert_eq!(stage.used("ann").await, left);
        }
        assert_eq!(store.upload_target(key).await.unwrap().unwrap().size, 40);
    }
    assert_eq!(store.ended_uploads(9, stage.now).await.unwrap(), []);
}

pub(crate) async fn size_stays_while_another_upload_was_announced<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (store, until) = (stage.store(), stage.now + HOUR);
    let key = ObjectKey::from_stored(Shelf::Attachments, "ann/x".to_owned());
    let announce = async |nonce, size| {
        let link = Some(link(nonce, until, false));
        store.reserve_attachment(By::Site, ann.group, "x", size, link, stage.now).await.unwrap()
    };
    announce(1, 9).await;
    store.end_upload(&key, 1, stage.now).await.unwrap();
    let before = store.ended_uploads_of(&key, stage.now).await.unwrap().unwrap();
    announce(2, 5).await;
    store.settle_size(&key, &before, 9, stage.now).await.unwrap();
    assert_eq!(store.ended_uploads_of(&key, stage.now).await.unwrap(), None);
    store.end_upload(&key, 2, stage.now).await.unwrap();
    store.settle_size(&key, &before, 9, stage.now).await.unwrap();
    let after = store.ended_uploads_of(&key, stage.now).await.unwrap().unwrap();
    assert_eq!(after.nonces, [1, 2], "what was seen before is not taken for what is there now");
    store.settle_size(&key, &after, 5, stage.now).await.unwrap();
    assert_eq!(stage.used("ann").await, 5);
}

pub(crate) async fn link_ends_with_its_record_or_counts_until_its_end<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (store, now) = (stage.store(), stage.now);
    let key = ObjectKey::from_stored(Shelf::Attachments, "ann/x".to_owned());
    let announce = async |nonce, size, may_create, now| {
        let link = Some(link(nonce, now + HOUR, may_create));
        match store.reserve_attachment(By::Site, ann.group, "x", size, link, now).await.unwrap() {
            Reservation::Reserved { exist, creates, .. } => (exist, creates),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(announce(1, 100, true, now).await, (false, true));
    assert_eq!(announce(2, 100, true, now).await, (true, false));
    assert!(!store.begin_upload(&key, 1, now + HOUR, now).await.unwrap(), "it is not for the coordinator");
    store.remove_attachment(By::Site, ann.group, "x", now).await.unwrap();
    assert!(!store.begin_upload(&key, 2, now + HOUR, now).await.unwrap(), "it ended with its record");

    // The first may still create an object of its size.
    assert_eq!(announce(3, 4, true, now).await, (false, false));
    assert_eq!(stage.used("ann").await, 100);
    store.end_upload(&key, 3, now).await.unwrap();
    let ended = store.ended_uploads_of(&key, now).await.unwrap().unwrap();
    assert_eq!(ended, Ended { nonces: vec![1, 3], may_appear: true });
    store.settle_size(&key, &ended, 4, now).await.unwrap();
    assert_eq!(stage.used("ann").await, 4);
    store.remove_attachment(By::Site, ann.group, "x", now).await.unwrap();
    assert_eq!(announce(4, 4, true, now).await, (false, false), "it is not forgotten");
    store.remove_attachment(By::Site, ann.group, "x", now).await.unwrap();
    assert_eq!(announce(5, 4, true, now + HOUR).await, (false, true));
}
