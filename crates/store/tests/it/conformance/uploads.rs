//! Links to records, and objects that no record needs any more.

use std::time::Duration;

use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::ArtifactKind::Result as Output;
use mitosis_protocol::Timestamp;
use mitosis_store::ops::Actor;
use mitosis_store::ops::artifacts::{Reservation, UploadRecord};
use mitosis_store::ops::dispatch::Holder;
use mitosis_store::ops::expected_uploads::{EndedUploads, NewLink};
use mitosis_store::ops::uploads::{AwaitedUpload, UploadTarget};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, SECOND};

const HOUR: Duration = Duration::from_hours(1);

fn artifact(reservation: Reservation) -> ObjectKey {
    match reservation {
        Reservation::Reserved { object, .. } => ObjectKey::from_stored(ObjectClass::Artifacts, object),
        other => panic!("refused: {other:?}"),
    }
}

pub(crate) async fn upload_target_follows_the_record<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    let holder = Holder::Lease(held.lease);
    let announced = harness.store().reserve_attempt_artifact(holder, Output, 7, harness.now).await.answer();
    let of_attempt = artifact(announced);
    let target = |size, awaits| Some(UploadTarget { size, awaits });
    let found =
        async |harness: &Harness<B>, key: &ObjectKey| harness.store().upload_target(key).await.unwrap();
    assert_eq!(found(harness, &of_attempt).await, target(7, AwaitedUpload::OfAttempt));
    harness.finish(&held).await;
    assert_eq!(found(harness, &of_attempt).await, target(7, AwaitedUpload::None));
    harness.store().remove_artifact(Actor::System, held.task.uuid, Output, harness.now).await.unwrap();
    assert_eq!(found(harness, &of_attempt).await, None);

    let other = harness.submit_one(&ann).await;
    let by_user = artifact(
        harness.store().reserve_artifact(Actor::System, other, Output, 5, None, harness.now).await.unwrap(),
    );
    assert_eq!(found(harness, &by_user).await, target(5, AwaitedUpload::OfUser));
    harness.store().reserve_attachment(Actor::System, ann.group, "in/x", 9, None, harness.now).await.unwrap();
    let attachment = ObjectKey::from_stored(ObjectClass::Attachments, "ann/in/x".to_owned());
    assert_eq!(found(harness, &attachment).await, target(9, AwaitedUpload::OfUser));
    for path in ["ann/in/y", "bob/in/x", "ann", "", &format!("{}/x", Uuid::from_u128(7))] {
        for class in [ObjectClass::Artifacts, ObjectClass::Attachments] {
            let unknown = ObjectKey::from_stored(class, path.to_owned());
            assert_eq!(found(harness, &unknown).await, None, "{unknown}");
        }
    }
}

pub(crate) async fn used_links_are_kept_until_they_expire<B: Backend>(harness: &mut Harness<B>) {
    let (one, other) = ([1; 32], [2; 32]);
    let until = harness.now + HOUR;
    assert!(harness.store().use_link(&one, until).await.unwrap());
    assert!(!harness.store().use_link(&one, until).await.unwrap());
    assert!(harness.store().use_link(&other, until).await.unwrap());
    harness.store().return_link(&other).await.unwrap();
    assert!(harness.store().use_link(&other, until).await.unwrap(), "nothing was stored through it");
    harness.pass(SECOND * 3599);
    harness.store().settle_garbage(&[], HOUR, harness.now).await.unwrap();
    assert!(!harness.store().use_link(&one, until).await.unwrap());
    harness.pass(SECOND * 2);
    harness.store().settle_garbage(&[], HOUR, harness.now).await.unwrap();
    assert!(harness.store().use_link(&one, until).await.unwrap());
}

pub(crate) async fn garbage_is_due_again_after_its_links_expire<B: Backend>(harness: &mut Harness<B>) {
    let artifact = ObjectKey::from_stored(ObjectClass::Artifacts, "a/b".to_owned());
    let attachment = ObjectKey::from_stored(ObjectClass::Attachments, "a/b".to_owned());
    for key in [&artifact, &attachment] {
        harness.store().discard_object(key, harness.now).await.unwrap();
    }
    let both = harness.store().garbage(10, harness.now).await.unwrap();
    assert_eq!(both, [artifact.clone(), attachment.clone()]);
    harness.store().settle_garbage(std::slice::from_ref(&artifact), HOUR, harness.now).await.unwrap();
    harness.store().defer_garbage(std::slice::from_ref(&attachment), harness.now + SECOND).await.unwrap();
    assert_eq!(harness.store().garbage(10, harness.now).await.unwrap(), []);
    harness.pass(SECOND);
    assert_eq!(harness.store().garbage(10, harness.now).await.unwrap(), std::slice::from_ref(&attachment));
    harness.store().settle_garbage(std::slice::from_ref(&attachment), HOUR, harness.now).await.unwrap();
    harness.pass(HOUR);
    let both = harness.store().garbage(10, harness.now).await.unwrap();
    assert_eq!(both.len(), 2);
    harness.store().settle_garbage(&both, HOUR, harness.now).await.unwrap();
    harness.pass(HOUR * 5);
    assert_eq!(harness.store().garbage(10, harness.now).await.unwrap(), []);
}

fn link(nonce: i64, until: Timestamp, may_create: bool) -> NewLink {
    NewLink { nonce, until, may_create }
}

pub(crate) async fn size_is_reconciled_after_the_last_upload<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (task, store, until) = (harness.submit_one(&ann).await, harness.store(), harness.now + HOUR);
    let attachment = ObjectKey::from_stored(ObjectClass::Attachments, "ann/in/x".to_owned());
    let archive = ObjectKey::artifact(task, Output);
    for (nonce, size) in [(7, 100), (-3, 40)] {
        let link = Some(link(nonce, until, false));
        store
            .reserve_attachment(Actor::User(ann.user), ann.group, "in/x", size, link, harness.now)
            .await
            .unwrap();
        store.reserve_artifact(Actor::User(ann.user), task, Output, size, link, harness.now).await.unwrap();
    }
    assert_eq!(harness.used("ann").await, 200);
    for key in [&attachment, &archive] {
        assert_eq!(store.ended_uploads_of(key, harness.now).await.unwrap(), None);
        assert!(store.begin_upload(key, -3, harness.now + HOUR * 9, harness.now).await.unwrap());
        store.end_upload(key, -3, harness.now).await.unwrap();
        assert!(!store.begin_upload(key, -3, until, harness.now).await.unwrap(), "it has come");
        assert_eq!(store.ended_uploads_of(key, harness.now).await.unwrap(), None, "the larger one may come");
    }
    assert_eq!(store.ended_uploads(9, harness.now).await.unwrap(), []);
    harness.pass(HOUR);
    let store = harness.store();
    assert_eq!(store.ended_uploads(9, harness.now).await.unwrap().len(), 2);
    for (key, left) in [(&attachment, 140), (&archive, 80)] {
        let ended = store.ended_uploads_of(key, harness.now).await.unwrap().unwrap();
        assert_eq!(ended, EndedUploads { nonces: vec![-3, 7], may_appear: false });
        for _ in 0..2 {
            store.settle_size(key, &ended, 40, harness.now).await.unwrap();
            assert_eq!(harness.used("ann").await, left);
        }
        assert_eq!(store.upload_target(key).await.unwrap().unwrap().size, 40);
    }
    assert_eq!(store.ended_uploads(9, harness.now).await.unwrap(), []);
}

pub(crate) async fn size_stays_while_an_upload_is_expected<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (store, until) = (harness.store(), harness.now + HOUR);
    let key = ObjectKey::from_stored(ObjectClass::Attachments, "ann/x".to_owned());
    let announce = async |nonce, size| {
        let link = Some(link(nonce, until, false));
        store.reserve_attachment(Actor::System, ann.group, "x", size, link, harness.now).await.unwrap()
    };
    announce(1, 9).await;
    store.end_upload(&key, 1, harness.now).await.unwrap();
    let before = store.ended_uploads_of(&key, harness.now).await.unwrap().unwrap();
    announce(2, 5).await;
    store.settle_size(&key, &before, 9, harness.now).await.unwrap();
    assert_eq!(store.ended_uploads_of(&key, harness.now).await.unwrap(), None);
    store.end_upload(&key, 2, harness.now).await.unwrap();
    store.settle_size(&key, &before, 9, harness.now).await.unwrap();
    let after = store.ended_uploads_of(&key, harness.now).await.unwrap().unwrap();
    assert_eq!(after.nonces, [1, 2], "what was seen before is not taken for what is there now");
    store.settle_size(&key, &after, 5, harness.now).await.unwrap();
    assert_eq!(harness.used("ann").await, 5);
}

pub(crate) async fn link_ends_with_its_record_unless_it_may_create<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (store, now) = (harness.store(), harness.now);
    let key = ObjectKey::from_stored(ObjectClass::Attachments, "ann/x".to_owned());
    let announce = async |nonce, size, may_create, now| {
        let link = Some(link(nonce, now + HOUR, may_create));
        match store.reserve_attachment(Actor::System, ann.group, "x", size, link, now).await.unwrap() {
            Reservation::Reserved { record, .. } => record,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(announce(1, 100, true, now).await, UploadRecord::NewDirect);
    assert_eq!(announce(2, 100, true, now).await, UploadRecord::Existing);
    assert!(!store.begin_upload(&key, 1, now + HOUR, now).await.unwrap(), "it is not for the coordinator");
    store.remove_attachment(Actor::System, ann.group, "x", now).await.unwrap();
    assert!(!store.begin_upload(&key, 2, now + HOUR, now).await.unwrap(), "it ended with its record");

    // The first link may still create an object of its size.
    assert_eq!(announce(3, 4, true, now).await, UploadRecord::New);
    assert_eq!(harness.used("ann").await, 100);
    store.end_upload(&key, 3, now).await.unwrap();
    let ended = store.ended_uploads_of(&key, now).await.unwrap().unwrap();
    assert_eq!(ended, EndedUploads { nonces: vec![1, 3], may_appear: true });
    store.settle_size(&key, &ended, 4, now).await.unwrap();
    assert_eq!(harness.used("ann").await, 4);
    store.remove_attachment(Actor::System, ann.group, "x", now).await.unwrap();
    assert_eq!(announce(4, 4, true, now).await, UploadRecord::New, "it is not forgotten");
    store.remove_attachment(Actor::System, ann.group, "x", now).await.unwrap();
    assert_eq!(announce(5, 4, true, now + HOUR).await, UploadRecord::NewDirect);
}
