//! An attempt that does not hold its task any more changes nothing, regardless of the present holder.

use futures_util::future::join;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::task::{ExecEnd, LeaseKey, Phase};
use mitosis_protocol::worker::ShutdownOp;
use mitosis_protocol::{ArtifactKind, Epoch, LeaseToken, Role};
use mitosis_store::ops::Actor;
use mitosis_store::ops::artifacts::Reservation;
use mitosis_store::ops::dispatch::{Assignment, Completed, Completion, EndReport, FollowUp, Holder};
use mitosis_store::ops::tasks::CancelSelection;
use mitosis_store::ops::workers::{NewWorker, Stop};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, LEASE, Person, RegisteredWorker, SECOND, status};

/// Checks that this holder can't change the task in any way.
async fn is_shut_out<B: Backend>(harness: &Harness<B>, ann: &Person, holder: Holder, uuid: Uuid) {
    let before = harness.get(uuid).await;
    let store = harness.store();
    assert_eq!(store.held(holder).await.unwrap(), None, "{holder:?}");
    assert_eq!(harness.report(holder, ExecEnd::Cancelled).await, EndReport::NotHeld, "{holder:?}");
    let completion = Completion { holder, end: Some(ExecEnd::Cancelled), result: status(77) };
    assert_eq!(harness.complete(completion).await, Completed::Stale, "{holder:?}");
    let upload = store.reserve_attempt_artifact(holder, ArtifactKind::Result, 9, harness.now).await.answer();
    assert_eq!(upload, Reservation::NoSuchTask, "{holder:?}");
    let follow_up = store.submit_follow_up(holder, &harness.task(ann.group), harness.now).await.answer();
    assert_eq!(follow_up, FollowUp::NotHeld, "{holder:?}");
    assert!(store.announced_artifacts(holder).await.unwrap().is_empty());
    assert_eq!(harness.get(uuid).await, before, "{holder:?}");
}

/// Takes the task from its worker.
async fn lose<B: Backend>(harness: &Harness<B>, worker: RegisteredWorker) {
    let outcome = harness
        .store()
        .stop_worker(Actor::System, worker.uuid, ShutdownOp::Force, harness.now)
        .await
        .answer();
    assert_eq!(outcome, Stop::Removed);
}

/// All holders that the given attempt could claim to be.
fn claims_of(worker: RegisteredWorker, held: &Assignment) -> [Holder; 2] {
    [Holder::Lease(held.lease), Holder::Worker(worker.id, held.task.id)]
}

pub(crate) async fn key_with_a_wrong_part_is_refused<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (worker, other) = (harness.worker(&ann).await, harness.worker(&ann).await);
    let uuid = harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    harness.report(Holder::Lease(held.lease), ExecEnd::Finished).await;
    let LeaseKey { task, epoch, token } = held.lease;
    for holder in [
        Holder::Lease(LeaseKey { task, epoch, token: LeaseToken(token.0 + 1) }),
        Holder::Lease(LeaseKey { task, epoch: epoch.next(), token }),
        Holder::Lease(LeaseKey { task, epoch: Epoch::ZERO, token }),
        Holder::Worker(other.id, task),
        Holder::Worker(WorkerId(other.id.0 + 1_000), task),
    ] {
        is_shut_out(harness, &ann, holder, uuid).await;
    }
    assert_eq!(harness.commit(Holder::Lease(held.lease), status(0)).await, Completed::Committed);
}

pub(crate) async fn lost_attempt_is_refused_while_the_task_waits<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    harness.report(Holder::Lease(held.lease), ExecEnd::Finished).await;
    lose(harness, worker).await;
    assert_eq!(harness.phase(uuid).await, Phase::Ready);
    for holder in claims_of(worker, &held) {
        is_shut_out(harness, &ann, holder, uuid).await;
    }
}

pub(crate) async fn lost_attempt_is_refused_while_another_runs<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (first, second) = (harness.worker(&ann).await, harness.worker(&ann).await);
    let uuid = harness.submit_one(&ann).await;
    let lost = harness.claim_one(first).await;
    lose(harness, first).await;
    harness.pass(SECOND);
    let held = harness.claim_one(second).await;
    assert_eq!((held.task.uuid, held.lease.epoch), (uuid, Epoch(2)));
    for holder in claims_of(first, &lost) {
        is_shut_out(harness, &ann, holder, uuid).await;
    }
    harness.report(Holder::Lease(held.lease), ExecEnd::Finished).await;
    for holder in claims_of(first, &lost) {
        is_shut_out(harness, &ann, holder, uuid).await;
    }
    assert_eq!(harness.commit(Holder::Lease(held.lease), status(0)).await, Completed::Committed);
    let Phase::Ended(ending) = harness.phase(uuid).await else { panic!("it has not ended") };
    assert_eq!((ending.reporter, ending.result), (Some(second.uuid), status(0)));
}

pub(crate) async fn lost_attempt_is_refused_after_another_commit<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (first, second) = (harness.worker(&ann).await, harness.worker(&ann).await);
    let uuid = harness.submit_one(&ann).await;
    let lost = harness.claim_one(first).await;
    lose(harness, first).await;
    let held = harness.claim_one(second).await;
    harness.finish(&held).await;
    for holder in claims_of(first, &lost) {
        is_shut_out(harness, &ann, holder, uuid).await;
    }
}

/// A token may be used again; the epoch still distinguishes the attempts.
pub(crate) async fn token_of_a_later_attempt_does_not_admit_an_earlier_one<B: Backend>(
    harness: &mut Harness<B>,
) {
    let ann = harness.person("ann").await;
    let (first, second) = (harness.worker(&ann).await, harness.worker(&ann).await);
    let uuid = harness.submit_one(&ann).await;
    let claim = async |harness: &Harness<B>, worker: RegisteredWorker| {
        crate::harness::assigned(harness.ask(worker, 1, LeaseToken(42)).await).remove(0)
    };
    let lost = claim(harness, first).await;
    lose(harness, first).await;
    let held = claim(harness, second).await;
    is_shut_out(harness, &ann, Holder::Lease(lost.lease), uuid).await;
    harness.finish(&held).await;
    is_shut_out(harness, &ann, Holder::Lease(lost.lease), uuid).await;
}

pub(crate) async fn repeated_commit_is_acknowledged_without_a_change<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    harness.finish(&held).await;
    let ended = harness.get(uuid).await;
    lose(harness, worker).await;
    harness.restart().await;
    harness.pass(SECOND);
    for holder in claims_of(worker, &held) {
        let completion = Completion { holder, end: Some(ExecEnd::Cancelled), result: status(77) };
        assert_eq!(harness.complete(completion).await, Completed::Replayed);
        assert_eq!(harness.commit(holder, status(77)).await, Completed::Replayed);
        assert_eq!(harness.report(holder, ExecEnd::Cancelled).await, EndReport::NotHeld);
    }
    assert_eq!(harness.get(uuid).await, ended);
    let LeaseKey { token, .. } = held.lease;
    let guessed = Holder::Lease(LeaseKey { token: LeaseToken(token.0 + 1), ..held.lease });
    is_shut_out(harness, &ann, guessed, uuid).await;
}

pub(crate) async fn cancellation_matches_no_lease_key<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (fresh, tried) = (harness.submit_one(&ann).await, harness.submit_one(&ann).await);
    let lost = harness.claim(worker, 2).await;
    lose(harness, worker).await;
    let selection = CancelSelection::Ready(vec![fresh, tried]);
    assert_eq!(harness.store().cancel(Actor::System, &selection, harness.now).await.answer().len(), 2);
    for held in &lost {
        for epoch in [Epoch::ZERO, Epoch::FIRST, Epoch(2)] {
            let forged = Holder::Lease(LeaseKey { epoch, token: LeaseToken(0), ..held.lease });
            is_shut_out(harness, &ann, forged, held.task.uuid).await;
        }
        for holder in claims_of(worker, held) {
            is_shut_out(harness, &ann, holder, held.task.uuid).await;
        }
    }
}

pub(crate) async fn ids_of_removed_workers_are_not_reused<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let first = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    let lost = harness.claim_one(first).await;
    lose(harness, first).await;
    let groups = [(ann.group, Role::Admin)].into();
    let again = harness.register(&NewWorker { uuid: first.uuid, groups, ..harness.new_worker(&ann) }).await;
    assert_ne!(again.id, first.id);
    let held = harness.claim_one(again).await;
    is_shut_out(harness, &ann, Holder::Worker(first.id, lost.task.id), uuid).await;
    harness.finish(&held).await;
}

/// Commit and expiry race for the same attempt: one of them ends it, and the task is never both ended and
/// Ready.
pub(crate) async fn commit_and_removal_of_the_worker_exclude_each_other<B: Backend>(
    harness: &mut Harness<B>,
) {
    let ann = harness.person("ann").await;
    for round in 0..16 {
        let worker = harness.worker(&ann).await;
        let uuid = harness.submit_one(&ann).await;
        let holder = Holder::Lease(harness.claim_one(worker).await.lease);
        let completion = Completion { holder, end: Some(ExecEnd::Finished), result: status(0) };
        harness.pass(LEASE);
        let store = harness.store();
        let reaping = store.reap(harness.now.into(), 10);
        let (committed, reaped) = if round % 2 == 0 {
            join(harness.complete(completion), reaping).await
        } else {
            let (reaped, committed) = join(reaping, harness.complete(completion)).await;
            (committed, reaped)
        };
        let returned = reaped.answer().iter().any(|reaped| reaped.returned.contains(&uuid));
        match committed {
            Completed::Committed => {
                assert!(!returned && matches!(harness.phase(uuid).await, Phase::Ended(_)));
            }
            Completed::Stale => assert!(returned && harness.phase(uuid).await == Phase::Ready),
            other => panic!("{other:?}"),
        }
        let next = harness.worker(&ann).await;
        for held in harness.claim(next, 1).await {
            harness.finish(&held).await;
        }
    }
}
