//! Links to records, and objects that no record needs any more.

use std::time::Duration;

use mitosis_domain::object::{ObjectKey, Shelf};
use mitosis_protocol::ArtifactKind::Result as Output;
use mitosis_store::ops::By;
use mitosis_store::ops::artifacts::Reservation;
use mitosis_store::ops::dispatch::Holder;
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
        artifact(stage.store().reserve_artifact(By::Site, other, Output, 5, stage.now).await.unwrap());
    assert_eq!(found(stage, &by_user).await, target(5, Waits::ForUser));
    stage.store().reserve_attachment(By::Site, ann.group, "in/x", 9, stage.now).await.unwrap();
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
