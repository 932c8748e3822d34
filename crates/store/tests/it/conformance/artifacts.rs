//! Records of archives: reservation, visibility, removal.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::quota::QuotaChange;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::ArtifactKind::{self, ExecLog, Result as Output};
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_store::ops::artifacts::{Artifact, Place, Removal, Reservation, UploadRecord};
use mitosis_store::ops::dispatch::{Assignment, Completed, Holder};
use mitosis_store::ops::{Actor, Administered};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, Person, RegisteredWorker, SECOND, TICK, status};

async fn announce<B: Backend>(
    harness: &Harness<B>,
    holder: Holder,
    kind: ArtifactKind,
    size: i64,
) -> Reservation {
    harness.store().reserve_attempt_artifact(holder, kind, size, harness.now).await.answer()
}

async fn upload<B: Backend>(harness: &Harness<B>, task: Uuid, kind: ArtifactKind, size: i64) -> Reservation {
    harness.store().reserve_artifact(Actor::System, task, kind, size, None, harness.now).await.unwrap()
}

async fn visible<B: Backend>(harness: &Harness<B>, task: Uuid) -> Vec<Artifact> {
    let id = harness.get(task).await.id;
    harness.store().artifacts(id).await.unwrap()
}

fn object(reservation: Reservation) -> String {
    match reservation {
        Reservation::Reserved { object, .. } => object,
        other => panic!("refused: {other:?}"),
    }
}

fn exist(reservation: &Reservation) -> Option<bool> {
    match reservation {
        Reservation::Reserved { record, .. } => Some(*record == UploadRecord::Existing),
        _ => None,
    }
}

/// The paths of the objects that are due for deletion.
async fn garbage<B: Backend>(harness: &Harness<B>) -> Vec<String> {
    let garbage = harness.store().garbage(10, harness.now).await.unwrap();
    garbage.iter().map(|key| key.path().to_owned()).collect()
}

async fn limit<B: Backend>(harness: &Harness<B>, bytes: i64) {
    let change = QuotaChange::Set(bytes);
    let changed =
        harness.store().change_storage_quota(Actor::System, "ann", change, harness.now).await.unwrap();
    assert!(matches!(changed, Administered::Done(_)));
}

async fn running<B: Backend>(harness: &Harness<B>) -> (Person, RegisteredWorker, Assignment, Holder) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    let holder = Holder::Lease(held.lease);
    (ann, worker, held, holder)
}

pub(crate) async fn attempt_archives_become_visible_with_the_commit<B: Backend>(harness: &mut Harness<B>) {
    let (_, _, held, holder) = running(harness).await;
    let uuid = held.task.uuid;
    harness.report(holder, ExecEnd::Finished).await;
    let announced_at = harness.now;
    let output = object(announce(harness, holder, Output, 300).await);
    let log = object(announce(harness, holder, ExecLog, 50).await);
    assert_ne!(output, log);
    assert_eq!(harness.used("ann").await, 350, "charged at once");
    assert!(visible(harness, uuid).await.is_empty());
    let announced = harness.store().announced_artifacts(holder).await.unwrap();
    harness.pass(SECOND);
    assert_eq!(harness.commit(holder, status(0)).await, Completed::Committed);
    let seen = visible(harness, uuid).await;
    let (created_at, updated_at, place) = (announced_at, announced_at, Place::ObjectStore);
    let expected = [
        Artifact { kind: Output, size: 300, object: output, place, created_at, updated_at },
        Artifact { kind: ExecLog, size: 50, object: log, place, created_at, updated_at },
    ];
    assert_eq!(seen, expected);
    assert_eq!(announced, expected);
    assert_eq!(harness.used("ann").await, 350);
    assert!(garbage(harness).await.is_empty());
}

pub(crate) async fn repeated_reservation_charges_only_growth<B: Backend>(harness: &mut Harness<B>) {
    let (_, _, _, holder) = running(harness).await;
    let mut objects = BTreeSet::new();
    for (size, existed, charged) in [(100, false, 100), (100, true, 100), (250, true, 250), (40, true, 250)] {
        let reservation = announce(harness, holder, Output, size).await;
        assert_eq!(exist(&reservation), Some(existed), "{size}");
        objects.insert(object(reservation));
        assert_eq!(harness.used("ann").await, charged, "{size}");
    }
    assert_eq!(objects.len(), 1, "one object all along");
}

pub(crate) async fn each_attempt_has_its_own_object<B: Backend>(harness: &mut Harness<B>) {
    let (ann, worker, held, holder) = running(harness).await;
    let lost = object(announce(harness, holder, Output, 100).await);
    harness.store().stop_worker(Actor::System, worker.uuid, ShutdownOp::Force, harness.now).await.answer();
    assert_eq!(harness.used("ann").await, 0);
    let next = harness.worker(&ann).await;
    let holder = Holder::Lease(harness.claim_one(next).await.lease);
    let kept = object(announce(harness, holder, Output, 70).await);
    assert_ne!(kept, lost);
    harness.report(holder, ExecEnd::Finished).await;
    harness.commit(holder, status(0)).await;
    assert_eq!(visible(harness, held.task.uuid).await[0].object, kept);
    assert_eq!(garbage(harness).await, [lost]);
    assert_eq!(harness.used("ann").await, 70);
}

pub(crate) async fn user_upload_is_visible_at_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let uuid = harness.submit_one(&ann).await;
    let first_at = harness.now;
    let path = object(upload(harness, uuid, Output, 100).await);
    harness.pass(SECOND);
    for (size, recorded) in [(60, 100), (180, 180)] {
        assert_eq!(exist(&upload(harness, uuid, Output, size).await), Some(true));
        let expected = Artifact {
            kind: Output,
            size: recorded,
            object: path.clone(),
            place: Place::ObjectStore,
            created_at: first_at,
            updated_at: harness.now,
        };
        assert_eq!(visible(harness, uuid).await, [expected]);
        assert_eq!(harness.used("ann").await, recorded);
    }
    assert_eq!(harness.get(uuid).await.updated_at, harness.now);
}

pub(crate) async fn commit_replaces_a_user_upload<B: Backend>(harness: &mut Harness<B>) {
    let (_, _, held, holder) = running(harness).await;
    let by_user = object(upload(harness, held.task.uuid, Output, 100).await);
    let log_by_user = object(upload(harness, held.task.uuid, ExecLog, 5).await);
    let by_attempt = object(announce(harness, holder, Output, 30).await);
    assert_eq!(harness.used("ann").await, 135);
    harness.finish(&held).await;
    let seen = visible(harness, held.task.uuid).await;
    let objects: Vec<&str> = seen.iter().map(|artifact| artifact.object.as_str()).collect();
    assert_eq!(objects, [by_attempt.as_str(), log_by_user.as_str()]);
    assert_eq!(harness.used("ann").await, 35);
    assert_eq!(garbage(harness).await, [by_user]);
}

pub(crate) async fn quota_is_exact<B: Backend>(harness: &mut Harness<B>) {
    let (_, _, held, holder) = running(harness).await;
    limit(harness, 100).await;
    assert_eq!(announce(harness, holder, Output, 101).await, Reservation::OverQuota);
    assert_eq!(upload(harness, held.task.uuid, Output, i64::MAX).await, Reservation::OverQuota);
    assert_eq!(exist(&announce(harness, holder, Output, 100).await), Some(false));
    assert_eq!(upload(harness, held.task.uuid, ExecLog, 1).await, Reservation::OverQuota);
    assert_eq!(announce(harness, holder, Output, 101).await, Reservation::OverQuota);
    assert_eq!(harness.used("ann").await, 100);
    assert_eq!(exist(&announce(harness, holder, ExecLog, 0).await), Some(false), "nothing needs no room");
    limit(harness, 10).await;
    assert_eq!(exist(&announce(harness, holder, Output, 90).await), Some(true), "no growth, no charge");
}

pub(crate) async fn concurrent_uploads_never_exceed_the_quota<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let batch: Vec<_> = (0..64).map(|_| harness.task(ann.group)).collect();
    let uuids: Vec<Uuid> = harness.submit(&ann, &batch).await.iter().map(|ids| ids.uuid).collect();
    limit(harness, 1_000).await;
    let outcomes = join_all(uuids.iter().map(|uuid| upload(harness, *uuid, Output, 30))).await;
    let accepted = outcomes.iter().filter(|outcome| exist(outcome) == Some(false)).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == Reservation::OverQuota).count();
    assert_eq!((accepted, refused), (33, 31), "{outcomes:?}");
    assert_eq!(harness.used("ann").await, 990);
}

pub(crate) async fn concurrent_reservations_of_one_archive_charge_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let uuid = harness.submit_one(&ann).await;
    let outcomes = join_all((1..=32).map(|size| upload(harness, uuid, Output, size))).await;
    assert_eq!(outcomes.iter().filter(|outcome| exist(outcome) == Some(false)).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| exist(outcome) == Some(true)).count(), 31);
    assert_eq!(harness.used("ann").await, 32);
}

pub(crate) async fn only_active_groups_accept_uploads<B: Backend>(harness: &mut Harness<B>) {
    let (_, _, held, holder) = running(harness).await;
    for state in [AccountState::Locked, AccountState::Deleted] {
        harness.set_group_state("ann", state).await;
        assert_eq!(announce(harness, holder, Output, 1).await, Reservation::GroupNotActive);
        assert_eq!(upload(harness, held.task.uuid, Output, 1).await, Reservation::GroupNotActive);
    }
    assert_eq!(upload(harness, harness.uuid(), Output, 1).await, Reservation::NoSuchTask);
    assert_eq!(harness.used("ann").await, 0);
}

pub(crate) async fn removed_archive_releases_its_size<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let uuid = harness.submit_one(&ann).await;
    let path = object(upload(harness, uuid, Output, 100).await);
    let touched = harness.now;
    let remove = async |harness: &Harness<B>, kind, since| {
        harness.store().remove_artifact(Actor::System, uuid, kind, since).await.unwrap()
    };
    assert_eq!(remove(harness, ExecLog, touched).await, Removal::Unknown);
    assert_eq!(remove(harness, Output, touched - TICK).await, Removal::TooYoung);
    assert_eq!(harness.used("ann").await, 100);
    assert_eq!(remove(harness, Output, touched).await, Removal::Removed { object: Some(path.clone()) });
    let garbage = harness.store().garbage(10, harness.now).await.unwrap();
    assert_eq!(
        garbage,
        [ObjectKey::from_stored(ObjectClass::Artifacts, path.clone())],
        "a crash forgets nothing"
    );
    assert_eq!(remove(harness, Output, touched).await, Removal::Unknown);
    assert_eq!(harness.used("ann").await, 0);
    assert!(visible(harness, uuid).await.is_empty());
    assert_eq!(exist(&upload(harness, uuid, Output, 7).await), Some(false));
    let unknown =
        harness.store().remove_artifact(Actor::System, harness.uuid(), Output, touched).await.unwrap();
    assert_eq!(unknown, Removal::Unknown);
}

pub(crate) async fn invisible_archive_can_not_be_removed<B: Backend>(harness: &mut Harness<B>) {
    let (_, _, held, holder) = running(harness).await;
    announce(harness, holder, Output, 100).await;
    let removal =
        harness.store().remove_artifact(Actor::System, held.task.uuid, Output, harness.now).await.unwrap();
    assert_eq!(removal, Removal::Unknown);
    assert_eq!(harness.store().announced_artifacts(holder).await.unwrap().len(), 1);
}

pub(crate) async fn garbage_is_read_in_batches_and_deleted_when_settled<B: Backend>(
    harness: &mut Harness<B>,
) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let batch: Vec<_> = (0..5).map(|_| harness.task(ann.group)).collect();
    harness.submit(&ann, &batch).await;
    for held in harness.claim(worker, 5).await {
        announce(harness, Holder::Lease(held.lease), Output, 1).await;
    }
    harness.store().stop_worker(Actor::System, worker.uuid, ShutdownOp::Force, harness.now).await.answer();
    let store = harness.store();
    let mut seen = BTreeSet::new();
    for left in [5, 3, 1, 0] {
        let portion = store.garbage(2, harness.now).await.unwrap();
        assert_eq!(store.garbage(2, harness.now).await.unwrap(), portion, "kept until it is forgotten");
        assert_eq!(portion.len(), left.min(2));
        store.settle_garbage(&portion, Duration::ZERO, harness.now).await.unwrap();
        store.settle_garbage(&portion, Duration::ZERO, harness.now).await.unwrap();
        seen.extend(portion);
    }
    assert_eq!(seen.len(), 5);
}

pub(crate) async fn object_of_a_new_record_is_not_garbage<B: Backend>(harness: &mut Harness<B>) {
    let (_, _, held, holder) = running(harness).await;
    let uuid = held.task.uuid;
    let by_user = object(upload(harness, uuid, Output, 10).await);
    announce(harness, holder, Output, 20).await;
    harness.finish(&held).await;
    assert_eq!(garbage(harness).await, std::slice::from_ref(&by_user));
    let removal = harness.store().remove_artifact(Actor::System, uuid, Output, harness.now).await.unwrap();
    let Removal::Removed { object: Some(removed) } = removal else { panic!("{removal:?}") };
    assert_eq!(object(upload(harness, uuid, Output, 30).await), by_user);
    assert_eq!(garbage(harness).await, [removed]);
}

pub(crate) async fn archives_of_many_tasks_are_read_together<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let store = harness.store();
    let (with, without) = (harness.submit_one(&ann).await, harness.submit_one(&ann).await);
    for kind in [ArtifactKind::Result, ArtifactKind::StdLog] {
        store.reserve_artifact(Actor::System, with, kind, 7, None, harness.now).await.unwrap();
    }
    store
        .reserve_artifact(Actor::System, without, ArtifactKind::ExecLog, 8, None, harness.now)
        .await
        .unwrap();
    let ids = [harness.get(with).await.id, harness.get(without).await.id];
    let found = store.artifacts_of_kind(&ids, ArtifactKind::StdLog).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[&ids[0]].kind, found[&ids[0]].size), (ArtifactKind::StdLog, 7));
    assert!(store.artifacts_of_kind(&[], ArtifactKind::StdLog).await.unwrap().is_empty());
}
