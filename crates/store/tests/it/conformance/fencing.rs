//! An attempt that no longer holds its task changes nothing, whoever else has the task now.

use futures_util::future::join;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::task::{ExecEnd, LeaseKey, Phase};
use mitosis_protocol::worker::ShutdownOp;
use mitosis_protocol::{ArtifactKind, Role};
use mitosis_store::ops::By;
use mitosis_store::ops::artifacts::Reservation;
use mitosis_store::ops::dispatch::{Assignment, Completed, Completion, EndReport, FollowUp, Holder};
use mitosis_store::ops::tasks::CancelSelection;
use mitosis_store::ops::workers::{NewWorker, Stop};
use uuid::Uuid;

use crate::backend::Backend;
use crate::stage::{Hand, LEASE, Person, SECOND, Stage, status};

/// Shows each way in which this holder could change the task, and that none is open.
async fn is_shut_out<B: Backend>(stage: &Stage<B>, ann: &Person, holder: Holder, uuid: Uuid) {
    let before = stage.get(uuid).await;
    let store = stage.store();
    assert_eq!(store.held(holder).await.unwrap(), None, "{holder:?}");
    assert_eq!(stage.report(holder, ExecEnd::Cancelled).await, EndReport::NotHeld, "{holder:?}");
    let completion = Completion { holder, end: Some(ExecEnd::Cancelled), result: status(77) };
    assert_eq!(stage.complete(completion).await, Completed::Stale, "{holder:?}");
    let upload = store.reserve_attempt_artifact(holder, ArtifactKind::Result, 9, stage.now).await.unwrap();
    assert_eq!(upload, Reservation::NoSuchTask, "{holder:?}");
    let follow_up = store.submit_follow_up(holder, &stage.task(ann.group), stage.now).await.unwrap();
    assert_eq!(follow_up, FollowUp::NotHeld, "{holder:?}");
    assert!(store.announced_artifacts(holder).await.unwrap().is_empty());
    assert_eq!(stage.get(uuid).await, before, "{holder:?}");
}

/// Takes the task back from its worker.
async fn lose<B: Backend>(stage: &Stage<B>, hand: Hand) {
    let outcome = stage.store().stop_worker(By::Site, hand.uuid, ShutdownOp::Force, stage.now).await.unwrap();
    assert_eq!(outcome, Stop::Removed);
}

/// Every way to say that one holds the task, as the given attempt would.
fn claims_of(hand: Hand, held: &Assignment) -> [Holder; 2] {
    [Holder::Lease(held.lease), Holder::Worker(hand.id, held.task.id)]
}

pub(crate) async fn a_wrong_number_in_the_key_opens_nothing<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (hand, other) = (stage.hand(&ann).await, stage.hand(&ann).await);
    let uuid = stage.submit_one(&ann).await;
    let held = stage.claim_one(hand).await;
    stage.report(Holder::Lease(held.lease), ExecEnd::Finished).await;
    let LeaseKey { task, epoch, token } = held.lease;
    for holder in [
        Holder::Lease(LeaseKey { task, epoch, token: token + 1 }),
        Holder::Lease(LeaseKey { task, epoch: epoch + 1, token }),
        Holder::Lease(LeaseKey { task, epoch: 0, token }),
        Holder::Worker(other.id, task),
        Holder::Worker(WorkerId(other.id.0 + 1_000), task),
    ] {
        is_shut_out(stage, &ann, holder, uuid).await;
    }
    assert_eq!(stage.commit(Holder::Lease(held.lease), status(0)).await, Completed::Committed);
}

pub(crate) async fn a_lost_attempt_is_shut_out_while_the_task_waits<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let uuid = stage.submit_one(&ann).await;
    let held = stage.claim_one(hand).await;
    stage.report(Holder::Lease(held.lease), ExecEnd::Finished).await;
    lose(stage, hand).await;
    assert_eq!(stage.phase(uuid).await, Phase::Ready);
    for holder in claims_of(hand, &held) {
        is_shut_out(stage, &ann, holder, uuid).await;
    }
}

pub(crate) async fn a_lost_attempt_is_shut_out_while_another_runs<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (first, second) = (stage.hand(&ann).await, stage.hand(&ann).await);
    let uuid = stage.submit_one(&ann).await;
    let lost = stage.claim_one(first).await;
    lose(stage, first).await;
    stage.pass(SECOND);
    let held = stage.claim_one(second).await;
    assert_eq!((held.task.uuid, held.lease.epoch), (uuid, 2));
    for holder in claims_of(first, &lost) {
        is_shut_out(stage, &ann, holder, uuid).await;
    }
    stage.report(Holder::Lease(held.lease), ExecEnd::Finished).await;
    for holder in claims_of(first, &lost) {
        is_shut_out(stage, &ann, holder, uuid).await;
    }
    assert_eq!(stage.commit(Holder::Lease(held.lease), status(0)).await, Completed::Committed);
    let Phase::Ended(ending) = stage.phase(uuid).await else { panic!("not over") };
    assert_eq!((ending.reporter, ending.result), (Some(second.uuid), status(0)));
}

pub(crate) async fn a_lost_attempt_is_shut_out_after_another_committed<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (first, second) = (stage.hand(&ann).await, stage.hand(&ann).await);
    let uuid = stage.submit_one(&ann).await;
    let lost = stage.claim_one(first).await;
    lose(stage, first).await;
    let held = stage.claim_one(second).await;
    stage.finish(&held).await;
    for holder in claims_of(first, &lost) {
        is_shut_out(stage, &ann, holder, uuid).await;
    }
}

/// The token of an earlier attempt may come up again; the epoch still tells them apart.
pub(crate) async fn the_same_token_in_a_later_attempt_lets_no_earlier_one_in<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    let (first, second) = (stage.hand(&ann).await, stage.hand(&ann).await);
    let uuid = stage.submit_one(&ann).await;
    let claim =
        async |stage: &Stage<B>, hand: Hand| crate::stage::assigned(stage.ask(hand, 1, 42).await).remove(0);
    let lost = claim(stage, first).await;
    lose(stage, first).await;
    let held = claim(stage, second).await;
    is_shut_out(stage, &ann, Holder::Lease(lost.lease), uuid).await;
    stage.finish(&held).await;
    is_shut_out(stage, &ann, Holder::Lease(lost.lease), uuid).await;
}

pub(crate) async fn a_committed_attempt_is_answered_again_but_changes_nothing<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let uuid = stage.submit_one(&ann).await;
    let held = stage.claim_one(hand).await;
    stage.finish(&held).await;
    let over = stage.get(uuid).await;
    lose(stage, hand).await;
    stage.restart().await;
    stage.pass(SECOND);
    for holder in claims_of(hand, &held) {
        let completion = Completion { holder, end: Some(ExecEnd::Cancelled), result: status(77) };
        assert_eq!(stage.complete(completion).await, Completed::Replayed);
        assert_eq!(stage.commit(holder, status(77)).await, Completed::Replayed);
        assert_eq!(stage.report(holder, ExecEnd::Cancelled).await, EndReport::NotHeld);
    }
    assert_eq!(stage.get(uuid).await, over);
    let LeaseKey { token, .. } = held.lease;
    let guessed = Holder::Lease(LeaseKey { token: token + 1, ..held.lease });
    is_shut_out(stage, &ann, guessed, uuid).await;
}

pub(crate) async fn no_key_passes_for_the_attempt_behind_a_cancellation<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let (fresh, tried) = (stage.submit_one(&ann).await, stage.submit_one(&ann).await);
    let lost = stage.claim(hand, 2).await;
    lose(stage, hand).await;
    let selection = CancelSelection::Ready(vec![fresh, tried]);
    assert_eq!(stage.store().cancel(By::Site, &selection, stage.now).await.unwrap().len(), 2);
    for held in &lost {
        for epoch in 0..3 {
            let forged = Holder::Lease(LeaseKey { epoch, token: 0, ..held.lease });
            is_shut_out(stage, &ann, forged, held.task.uuid).await;
        }
        for holder in claims_of(hand, held) {
            is_shut_out(stage, &ann, holder, held.task.uuid).await;
        }
    }
}

pub(crate) async fn a_later_worker_is_never_taken_for_a_removed_one<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let first = stage.hand(&ann).await;
    let uuid = stage.submit_one(&ann).await;
    let lost = stage.claim_one(first).await;
    lose(stage, first).await;
    let groups = [(ann.group, Role::Admin)].into();
    let again = stage.register(&NewWorker { uuid: first.uuid, groups, ..stage.new_worker(&ann) }).await;
    assert_ne!(again.id, first.id);
    let held = stage.claim_one(again).await;
    is_shut_out(stage, &ann, Holder::Worker(first.id, lost.task.id), uuid).await;
    stage.finish(&held).await;
}

/// Commit and expiry race for the same attempt: one of them ends it, and the task is never both over
/// and back in line.
pub(crate) async fn a_commit_and_the_loss_of_its_worker_never_both_win<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    for round in 0..16 {
        let hand = stage.hand(&ann).await;
        let uuid = stage.submit_one(&ann).await;
        let holder = Holder::Lease(stage.claim_one(hand).await.lease);
        let completion = Completion { holder, end: Some(ExecEnd::Finished), result: status(0) };
        stage.pass(LEASE);
        let store = stage.store();
        let reaping = store.reap(stage.now.into(), 10);
        let (committed, reaped) = if round % 2 == 0 {
            join(stage.complete(completion), reaping).await
        } else {
            let (reaped, committed) = join(reaping, stage.complete(completion)).await;
            (committed, reaped)
        };
        let returned = reaped.unwrap().iter().any(|reaped| reaped.returned.contains(&uuid));
        match committed {
            Completed::Committed => assert!(!returned && matches!(stage.phase(uuid).await, Phase::Ended(_))),
            Completed::Stale => assert!(returned && stage.phase(uuid).await == Phase::Ready),
            other => panic!("{other:?}"),
        }
        let next = stage.hand(&ann).await;
        for held in stage.claim(next, 1).await {
            stage.finish(&held).await;
        }
    }
}
