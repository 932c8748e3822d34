//! Two who want different things of the same task or worker at the same moment: whoever comes first,
//! what is left makes sense.

use futures_util::future::join;
use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_protocol::ArtifactKind;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_store::ops::By;
use mitosis_store::ops::dispatch::{Claim, Completed, Completion, FollowUp, Holder};
use mitosis_store::ops::tasks::{CancelSelection, TaskChange};
use mitosis_store::ops::workers::Stop;

use crate::backend::Backend;
use crate::stage::{Hand, LEASE, Stage, TERMS, status, words};

/// How often each pair meets; every other time, the other goes first.
const ROUNDS: usize = 12;

/// Starts both at once, the second one first in odd rounds.
async fn meet<A: Future, B: Future>(round: usize, first: A, second: B) -> (A::Output, B::Output) {
    if round.is_multiple_of(2) {
        join(first, second).await
    } else {
        let (second, first) = join(second, first).await;
        (first, second)
    }
}

async fn is_there<B: Backend>(stage: &Stage<B>, hand: Hand) -> bool {
    stage.store().worker(hand.uuid).await.unwrap().is_some()
}

fn finished(holder: Holder) -> Completion {
    Completion { holder, end: Some(ExecEnd::Finished), result: status(0) }
}

pub(crate) async fn a_worker_removed_while_it_claims_keeps_nothing<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let uuid = stage.submit_one(&ann).await;
    for round in 0..ROUNDS {
        let hand = stage.hand(&ann).await;
        let store = stage.store();
        let claim = stage.ask(hand, 1, stage.token());
        let stop = store.stop_worker(By::Site, hand.uuid, ShutdownOp::Force, stage.now);
        let (claim, stop) = meet(round, claim, stop).await;
        assert_eq!(stop.unwrap(), Stop::Removed);
        assert!(matches!(&claim, Claim::WorkerGone) || matches!(&claim, Claim::Assigned(_)), "{claim:?}");
        assert_eq!(stage.phase(uuid).await, Phase::Ready);
        assert!(!is_there(stage, hand).await);
    }
}

pub(crate) async fn a_worker_asked_to_stop_while_it_claims_goes_or_ends_its_task<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    for round in 0..ROUNDS {
        let hand = stage.hand(&ann).await;
        let uuid = stage.submit_one(&ann).await;
        let store = stage.store();
        let claim = stage.ask(hand, 1, stage.token());
        let stop = store.stop_worker(By::Site, hand.uuid, ShutdownOp::Graceful, stage.now);
        let (claim, stop) = meet(round, claim, stop).await;
        match (claim, stop.unwrap()) {
            (Claim::Assigned(held), Stop::Marked) => stage.finish(&held[0]).await,
            (Claim::WorkerGone, Stop::Removed) => {
                assert_eq!(stage.phase(uuid).await, Phase::Ready);
                let selection = CancelSelection::Ready(vec![uuid]);
                stage.store().cancel(By::Site, &selection, stage.now).await.unwrap();
            }
            other => panic!("{other:?}"),
        }
        assert!(!is_there(stage, hand).await);
    }
}

pub(crate) async fn a_worker_asked_to_stop_during_its_last_commit_is_gone_after_both<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    for round in 0..ROUNDS {
        let hand = stage.hand(&ann).await;
        stage.submit_one(&ann).await;
        let holder = Holder::Lease(stage.claim_one(hand).await.lease);
        let store = stage.store();
        let commit = stage.complete(finished(holder));
        let stop = store.stop_worker(By::Site, hand.uuid, ShutdownOp::Graceful, stage.now);
        let (commit, stop) = meet(round, commit, stop).await;
        assert_eq!(commit, Completed::Committed);
        assert!(matches!(stop.unwrap(), Stop::Marked | Stop::Removed));
        assert!(!is_there(stage, hand).await);
    }
}

pub(crate) async fn two_last_commits_of_a_stopping_worker_remove_it<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    for round in 0..ROUNDS {
        let hand = stage.hand(&ann).await;
        stage.submit(&ann, &[stage.task(ann.group), stage.task(ann.group)]).await;
        let held = stage.claim(hand, 2).await;
        let stop = stage.store().stop_worker(By::Site, hand.uuid, ShutdownOp::Graceful, stage.now).await;
        assert_eq!(stop.unwrap(), Stop::Marked);
        let [one, other] = [0, 1].map(|at| stage.complete(finished(Holder::Lease(held[at].lease))));
        let outcomes = meet(round, one, other).await;
        assert_eq!(outcomes, (Completed::Committed, Completed::Committed));
        assert!(!is_there(stage, hand).await);
    }
}

pub(crate) async fn a_follow_up_asked_for_during_the_commit_is_refused_or_released<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    for round in 0..ROUNDS {
        stage.submit_one(&ann).await;
        let holder = Holder::Lease(stage.claim_one(hand).await.lease);
        stage.report(holder, ExecEnd::Finished).await;
        let (store, next) = (stage.store(), stage.task(ann.group));
        let follow_up = store.submit_follow_up(holder, &next, stage.now);
        let (follow_up, commit) = meet(round, follow_up, stage.commit(holder, status(0))).await;
        assert_eq!(commit, Completed::Committed);
        match follow_up.unwrap() {
            FollowUp::Created(_) => {
                let held = stage.claim_one(hand).await;
                assert_eq!(held.task.uuid, next.uuid);
                stage.finish(&held).await;
            }
            FollowUp::NotHeld => assert_eq!(stage.store().task(next.uuid).await.unwrap(), None),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn a_follow_up_cancelled_during_the_commit_never_runs<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    for round in 0..ROUNDS {
        stage.submit_one(&ann).await;
        let holder = Holder::Lease(stage.claim_one(hand).await.lease);
        stage.report(holder, ExecEnd::Finished).await;
        let (store, next) = (stage.store(), stage.task(ann.group));
        store.submit_follow_up(holder, &next, stage.now).await.unwrap();
        let selection = CancelSelection::Waiting(vec![next.uuid]);
        let cancellation = store.cancel(By::Site, &selection, stage.now);
        let (cancelled, commit) = meet(round, cancellation, stage.commit(holder, status(0))).await;
        assert_eq!(commit, Completed::Committed);
        assert_eq!(cancelled.unwrap(), [next.uuid], "Pending or Ready, it waits");
        assert!(stage.claim(hand, 1).await.is_empty());
    }
}

pub(crate) async fn an_archive_announced_by_a_dying_worker_is_given_back<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    for round in 0..ROUNDS {
        let hand = stage.hand(&ann).await;
        stage.submit_one(&ann).await;
        let holder = Holder::Lease(stage.claim_one(hand).await.lease);
        stage.pass(LEASE);
        let store = stage.store();
        let announce = store.reserve_attempt_artifact(holder, ArtifactKind::Result, 100, stage.now);
        let (announced, reaped) = meet(round, announce, store.reap(stage.now.into(), 10)).await;
        announced.unwrap();
        assert_eq!(reaped.unwrap().len(), 1);
        assert_eq!(stage.used("ann").await, 0);
    }
}

pub(crate) async fn a_sign_of_life_at_the_last_moment_counts_or_is_refused<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    for round in 0..ROUNDS {
        let hand = stage.hand(&ann).await;
        stage.pass(LEASE);
        let (store, signs) = (stage.store(), [(hand.id, TERMS)]);
        let renewal = store.renew_leases(&signs, stage.now.into());
        let (gone, reaped) = meet(round, renewal, store.reap(stage.now.into(), 10)).await;
        let (gone, reaped) = (gone.unwrap(), reaped.unwrap());
        let survived = reaped.is_empty();
        assert_eq!(gone.is_empty(), survived, "told that it lives, and it does");
        assert_eq!(is_there(stage, hand).await, survived);
        stage.store().stop_worker(By::Site, hand.uuid, ShutdownOp::Force, stage.now).await.unwrap();
    }
}

pub(crate) async fn a_task_changed_while_it_is_claimed_was_changed_before_or_not_at_all<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let change = TaskChange { tags: Some(words("gpu")), ..TaskChange::default() };
    for round in 0..ROUNDS {
        let uuid = stage.submit_one(&ann).await;
        let store = stage.store();
        let changing = store.change_task(By::Site, uuid, &change, stage.now);
        let (changed, held) = meet(round, changing, stage.claim(hand, 1)).await;
        let changed = changed.unwrap();
        assert_eq!(held.is_empty(), changed, "a worker without the tag gets it only unchanged");
        for held in &held {
            assert_eq!(held.task.tags, words(""));
            stage.finish(held).await;
        }
        assert_eq!(stage.phase(uuid).await == Phase::Ready, changed);
    }
}
