//! Workers that fall silent or run on too long: removed, and their tasks given back.

use std::time::Duration;

use futures_util::future::join_all;
use mitosis_domain::lease::LeaseTerms;
use mitosis_domain::limits::{OVERDUE_GRACE, PREPARATION_ALLOWANCE};
use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_protocol::ArtifactKind;
use mitosis_store::ops::dispatch::{Completed, Holder};
use mitosis_store::ops::reaper::{ReapReason, Reaped};
use mitosis_store::ops::tasks::NewTask;
use uuid::Uuid;

use crate::backend::Backend;
use crate::stage::{HOUR, Hand, LEASE, SECOND, Stage, TICK, status};

/// The longest time shorter than this one.
fn just_before(time: Duration) -> Duration {
    time.saturating_sub(TICK)
}

async fn reap<B: Backend>(stage: &Stage<B>) -> Vec<Reaped> {
    stage.store().reap(stage.now, 100).await.unwrap()
}

async fn renew<B: Backend>(stage: &Stage<B>, hands: &[Hand], lease: Duration) {
    let signs: Vec<_> = hands.iter().map(|hand| (hand.id, LeaseTerms::single(lease))).collect();
    assert!(stage.store().renew_leases(&signs, stage.now).await.unwrap().is_empty());
}

fn silent(hand: Hand, returned: &[Uuid]) -> Reaped {
    Reaped { worker: hand.uuid, reason: ReapReason::Silent, returned: returned.to_vec() }
}

pub(crate) async fn a_silent_worker_is_removed_when_its_lease_is_over<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let uuid = stage.submit_one(&ann).await;
    stage.claim_one(hand).await;
    stage.pass(just_before(LEASE));
    assert!(reap(stage).await.is_empty());
    stage.pass(TICK);
    assert_eq!(reap(stage).await, [silent(hand, &[uuid])]);
    assert_eq!(stage.phase(uuid).await, Phase::Ready);
    assert_eq!(stage.get(uuid).await.updated_at, stage.now);
    assert!(stage.store().worker(hand.uuid).await.unwrap().is_none());
    assert!(reap(stage).await.is_empty(), "again");
}

pub(crate) async fn a_sign_of_life_keeps_a_worker<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (alive, dead) = (stage.hand(&ann).await, stage.hand(&ann).await);
    stage.pass(just_before(LEASE));
    renew(stage, &[alive], LEASE).await;
    stage.pass(TICK);
    assert_eq!(reap(stage).await, [silent(dead, &[])]);
    stage.pass(just_before(just_before(LEASE)));
    assert!(reap(stage).await.is_empty());
    stage.pass(TICK);
    assert_eq!(reap(stage).await, [silent(alive, &[])]);
}

pub(crate) async fn given_back_tasks_stand_in_their_old_place<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let first = [1, 0].map(|priority| NewTask { priority, ..stage.task(ann.group) });
    let first: Vec<Uuid> = stage.submit(&ann, &first).await.iter().map(|ids| ids.uuid).collect();
    assert_eq!(stage.claim(hand, 2).await.len(), 2);
    stage.pass(SECOND);
    let later = [1, 0].map(|priority| NewTask { priority, ..stage.task(ann.group) });
    let later: Vec<Uuid> = stage.submit(&ann, &later).await.iter().map(|ids| ids.uuid).collect();
    stage.pass(LEASE);
    reap(stage).await;
    let next = stage.hand(&ann).await;
    let held = stage.claim(next, 4).await;
    let order: Vec<Uuid> = held.iter().map(|held| held.task.uuid).collect();
    assert_eq!(order, [first[0], later[0], first[1], later[1]]);
    let epochs: Vec<i64> = held.iter().map(|held| held.lease.epoch).collect();
    assert_eq!(epochs, [2, 1, 2, 1]);
}

pub(crate) async fn lost_attempts_are_counted_on_the_task<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let uuid = stage.submit_one(&ann).await;
    for losses in 1..=3 {
        let hand = stage.hand(&ann).await;
        assert_eq!(stage.claim_one(hand).await.task.uuid, uuid);
        stage.pass(LEASE);
        reap(stage).await;
        assert_eq!(stage.scalar("SELECT CAST(losses AS BIGINT) FROM ready").await, losses);
    }
}

pub(crate) async fn what_a_lost_attempt_stored_is_given_back<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    stage.submit_one(&ann).await;
    let holder = Holder::Lease(stage.claim_one(hand).await.lease);
    stage.store().reserve_attempt_artifact(holder, ArtifactKind::Result, 500, stage.now).await.unwrap();
    assert_eq!(stage.used("ann").await, 500);
    stage.pass(LEASE);
    reap(stage).await;
    assert_eq!(stage.used("ann").await, 0);
    assert_eq!(stage.store().garbage(10, stage.now).await.unwrap().len(), 1);
}

pub(crate) async fn a_worker_that_runs_on_too_long_is_removed<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let uuid = stage.submit_one(&ann).await;
    let held = stage.claim_one(hand).await;
    let timeout = Duration::from_secs(u64::try_from(held.task.timeout_seconds).unwrap());
    stage.pass(just_before(timeout + PREPARATION_ALLOWANCE + OVERDUE_GRACE));
    renew(stage, &[hand], HOUR).await;
    assert!(reap(stage).await.is_empty());
    stage.pass(TICK);
    let overdue = Reaped { worker: hand.uuid, reason: ReapReason::Overdue, returned: vec![uuid] };
    assert_eq!(reap(stage).await, [overdue]);
    assert_eq!(stage.phase(uuid).await, Phase::Ready);
}

pub(crate) async fn a_reported_task_is_not_overdue<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    stage.submit_one(&ann).await;
    let holder = Holder::Lease(stage.claim_one(hand).await.lease);
    stage.report(holder, ExecEnd::Finished).await;
    stage.pass(HOUR * 24);
    renew(stage, &[hand], HOUR).await;
    assert!(reap(stage).await.is_empty());
    assert_eq!(stage.commit(holder, status(0)).await, Completed::Committed);
}

pub(crate) async fn a_worker_that_is_silent_and_overdue_goes_once<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let uuids: Vec<Uuid> = stage
        .submit(&ann, &[(); 3].map(|()| stage.task(ann.group)))
        .await
        .iter()
        .map(|ids| ids.uuid)
        .collect();
    stage.claim(hand, 3).await;
    stage.pass(HOUR * 24);
    assert_eq!(reap(stage).await, [silent(hand, &uuids)]);
}

pub(crate) async fn no_more_are_removed_at_once_than_asked_for<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let mut hands = Vec::new();
    for _ in 0..5 {
        hands.push(stage.hand(&ann).await);
        stage.submit_one(&ann).await;
        stage.claim_one(hands[hands.len() - 1]).await;
    }
    stage.pass(HOUR * 24);
    renew(stage, &hands[3..], HOUR).await;
    let mut sizes = Vec::new();
    loop {
        let reaped = stage.store().reap(stage.now, 2).await.unwrap();
        sizes.push(reaped.len());
        if reaped.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [2, 2, 1, 0]);
    assert!(stage.store().reap(stage.now, 0).await.unwrap().is_empty());
}

pub(crate) async fn coordinators_that_reap_at_once_give_each_task_back_once<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    for _ in 0..10 {
        let hand = stage.hand(&ann).await;
        stage.submit_one(&ann).await;
        stage.claim_one(hand).await;
    }
    stage.pass(LEASE);
    let reaped = join_all((0..6).map(|_| reap(stage))).await.concat();
    assert_eq!(reaped.len(), 10, "{reaped:?}");
    assert_eq!(reaped.iter().map(|reaped| reaped.returned.len()).sum::<usize>(), 10);
    let next = stage.hand(&ann).await;
    let held = stage.claim(next, 20).await;
    assert_eq!(held.len(), 10);
    assert!(held.iter().all(|held| held.lease.epoch == 2));
}

pub(crate) async fn nobody_is_declared_dead_for_an_outage<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (short, long) = (stage.hand(&ann).await, stage.hand(&ann).await);
    renew(stage, &[long], HOUR).await;
    stage.pass(LEASE * 2);
    stage.restart().await;
    assert_eq!(stage.store().extend_all_leases(stage.now).await.unwrap(), 2);
    stage.pass(just_before(LEASE));
    assert!(reap(stage).await.is_empty());
    stage.pass(TICK);
    assert_eq!(reap(stage).await, [silent(short, &[])], "a longer lease is not cut short");
}
