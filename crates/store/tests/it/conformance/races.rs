//! Two concurrent operations on the same task or worker. The outcome is consistent, whichever comes first.

use futures_util::future::join;
use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_protocol::ArtifactKind;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Completed, Completion, FollowUp, Holder};
use mitosis_store::ops::tasks::{CancelSelection, TaskChange};
use mitosis_store::ops::workers::Stop;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Claimed, Harness, LEASE, RegisteredWorker, TERMS, status, tag_set};

/// The number of rounds of each race; the order of the two starts alternates.
const ROUNDS: usize = 12;

/// Starts both at the same time, the second one first in odd rounds.
async fn meet<A: Future, B: Future>(round: usize, first: A, second: B) -> (A::Output, B::Output) {
    if round.is_multiple_of(2) {
        join(first, second).await
    } else {
        let (second, first) = join(second, first).await;
        (first, second)
    }
}

async fn is_there<B: Backend>(harness: &Harness<B>, worker: RegisteredWorker) -> bool {
    harness.store().worker(worker.uuid).await.unwrap().is_some()
}

fn finished(holder: Holder) -> Completion {
    Completion { holder, end: Some(ExecEnd::Finished), result: status(0) }
}

pub(crate) async fn worker_removed_during_a_claim_keeps_no_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let uuid = harness.submit_one(&ann).await;
    for round in 0..ROUNDS {
        let worker = harness.worker(&ann).await;
        let store = harness.store();
        let claim = harness.ask(worker, 1, harness.token());
        let stop = store.stop_worker(Actor::System, worker.uuid, ShutdownOp::Force, harness.now);
        let (claim, stop) = meet(round, claim, stop).await;
        assert_eq!(stop.answer(), Stop::Removed);
        assert!(matches!(&claim, Claimed::WorkerGone) || matches!(&claim, Claimed::Assigned(_)), "{claim:?}");
        assert_eq!(harness.phase(uuid).await, Phase::Ready);
        assert!(!is_there(harness, worker).await);
    }
}

pub(crate) async fn worker_drained_during_a_claim_is_removed_or_ends_its_task<B: Backend>(
    harness: &mut Harness<B>,
) {
    let ann = harness.person("ann").await;
    for round in 0..ROUNDS {
        let worker = harness.worker(&ann).await;
        let uuid = harness.submit_one(&ann).await;
        let store = harness.store();
        let claim = harness.ask(worker, 1, harness.token());
        let stop = store.stop_worker(Actor::System, worker.uuid, ShutdownOp::Graceful, harness.now);
        let (claim, stop) = meet(round, claim, stop).await;
        match (claim, stop.answer()) {
            (Claimed::Assigned(held), Stop::Marked) => harness.finish(&held[0]).await,
            (Claimed::WorkerGone, Stop::Removed) => {
                assert_eq!(harness.phase(uuid).await, Phase::Ready);
                let selection = CancelSelection::Ready(vec![uuid]);
                harness.store().cancel(Actor::System, &selection, harness.now).await.answer();
            }
            other => panic!("{other:?}"),
        }
        assert!(!is_there(harness, worker).await);
    }
}

pub(crate) async fn worker_drained_during_its_last_commit_is_removed<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    for round in 0..ROUNDS {
        let worker = harness.worker(&ann).await;
        harness.submit_one(&ann).await;
        let holder = Holder::Lease(harness.claim_one(worker).await.lease);
        let store = harness.store();
        let commit = harness.complete(finished(holder));
        let stop = store.stop_worker(Actor::System, worker.uuid, ShutdownOp::Graceful, harness.now);
        let (commit, stop) = meet(round, commit, stop).await;
        assert_eq!(commit, Completed::Committed);
        assert!(matches!(stop.answer(), Stop::Marked | Stop::Removed));
        assert!(!is_there(harness, worker).await);
    }
}

pub(crate) async fn concurrent_last_commits_remove_a_draining_worker<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    for round in 0..ROUNDS {
        let worker = harness.worker(&ann).await;
        harness.submit(&ann, &[harness.task(ann.group), harness.task(ann.group)]).await;
        let held = harness.claim(worker, 2).await;
        let stop =
            harness.store().stop_worker(Actor::System, worker.uuid, ShutdownOp::Graceful, harness.now).await;
        assert_eq!(stop.answer(), Stop::Marked);
        let [one, other] = [0, 1].map(|at| harness.complete(finished(Holder::Lease(held[at].lease))));
        let outcomes = meet(round, one, other).await;
        assert_eq!(outcomes, (Completed::Committed, Completed::Committed));
        assert!(!is_there(harness, worker).await);
    }
}

pub(crate) async fn follow_up_during_the_commit_is_refused_or_released<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    for round in 0..ROUNDS {
        harness.submit_one(&ann).await;
        let holder = Holder::Lease(harness.claim_one(worker).await.lease);
        harness.report(holder, ExecEnd::Finished).await;
        let (store, next) = (harness.store(), harness.task(ann.group));
        let follow_up = store.submit_follow_up(holder, &next, harness.now);
        let (follow_up, commit) = meet(round, follow_up, harness.commit(holder, status(0))).await;
        assert_eq!(commit, Completed::Committed);
        match follow_up.answer() {
            FollowUp::Created(_) => {
                let held = harness.claim_one(worker).await;
                assert_eq!(held.task.uuid, next.uuid);
                harness.finish(&held).await;
            }
            FollowUp::NotHeld => assert_eq!(harness.store().task(next.uuid).await.unwrap(), None),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn follow_up_cancelled_during_the_commit_never_runs<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    for round in 0..ROUNDS {
        harness.submit_one(&ann).await;
        let holder = Holder::Lease(harness.claim_one(worker).await.lease);
        harness.report(holder, ExecEnd::Finished).await;
        let (store, next) = (harness.store(), harness.task(ann.group));
        store.submit_follow_up(holder, &next, harness.now).await.answer();
        let selection = CancelSelection::Waiting(vec![next.uuid]);
        let cancellation = store.cancel(Actor::System, &selection, harness.now);
        let (cancelled, commit) = meet(round, cancellation, harness.commit(holder, status(0))).await;
        assert_eq!(commit, Completed::Committed);
        assert_eq!(cancelled.answer(), [next.uuid], "Pending or Ready, it waits");
        assert!(harness.claim(worker, 1).await.is_empty());
    }
}

pub(crate) async fn archive_of_a_lost_worker_releases_its_size<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    for round in 0..ROUNDS {
        let worker = harness.worker(&ann).await;
        harness.submit_one(&ann).await;
        let holder = Holder::Lease(harness.claim_one(worker).await.lease);
        harness.pass(LEASE);
        let store = harness.store();
        let announce = store.reserve_attempt_artifact(holder, ArtifactKind::Result, 100, harness.now);
        let (announced, reaped) = meet(round, announce, store.reap(harness.now.into(), 10)).await;
        announced.answer();
        assert_eq!(reaped.answer().len(), 1);
        assert_eq!(harness.used("ann").await, 0);
    }
}

pub(crate) async fn heartbeat_during_the_reap_counts_or_is_refused<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    for round in 0..ROUNDS {
        let worker = harness.worker(&ann).await;
        harness.pass(LEASE);
        let (store, signs) = (harness.store(), [(worker.id, TERMS)]);
        let renewal = store.renew_leases(&signs, harness.now.into());
        let (gone, reaped) = meet(round, renewal, store.reap(harness.now.into(), 10)).await;
        let (gone, reaped) = (gone.unwrap(), reaped.answer());
        let survived = reaped.is_empty();
        assert_eq!(gone.is_empty(), survived, "the renewal agrees with the outcome");
        assert_eq!(is_there(harness, worker).await, survived);
        harness
            .store()
            .stop_worker(Actor::System, worker.uuid, ShutdownOp::Force, harness.now)
            .await
            .answer();
    }
}

pub(crate) async fn change_during_a_claim_is_complete_or_refused<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let change = TaskChange { tags: Some(tag_set("gpu")), ..TaskChange::default() };
    for round in 0..ROUNDS {
        let uuid = harness.submit_one(&ann).await;
        let store = harness.store();
        let changing = store.change_task(Actor::System, uuid, &change, harness.now);
        let (changed, held) = meet(round, changing, harness.claim(worker, 1)).await;
        let changed = changed.answer();
        assert_eq!(held.is_empty(), changed, "a worker without the tag gets it only unchanged");
        for held in &held {
            assert_eq!(held.task.tags, tag_set(""));
            harness.finish(held).await;
        }
        assert_eq!(harness.phase(uuid).await == Phase::Ready, changed);
    }
}
