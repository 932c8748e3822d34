//! Tasks that tasks ask for: they wait for the commit of the attempt that asked.

use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_protocol::{ArtifactKind, Role};
use mitosis_store::ops::By;
use mitosis_store::ops::dispatch::{Completed, FollowUp, Holder};
use mitosis_store::ops::tasks::{NewTask, TaskIds};
use uuid::Uuid;

use crate::backend::Backend;
use crate::stage::{Hand, Person, SECOND, Stage, status, words};

async fn follow_up<B: Backend>(stage: &Stage<B>, holder: Holder, task: &NewTask) -> FollowUp {
    stage.store().submit_follow_up(holder, task, stage.now).await.unwrap()
}

/// A task whose command has ended, and who holds it.
async fn reported<B: Backend>(stage: &Stage<B>, ann: &Person, hand: Hand) -> (Uuid, Holder) {
    let uuid = stage.submit_one(ann).await;
    let held = stage.claim_one(hand).await;
    assert_eq!(held.task.uuid, uuid);
    let holder = Holder::Lease(held.lease);
    stage.report(holder, ExecEnd::Finished).await;
    (uuid, holder)
}

pub(crate) async fn a_follow_up_waits_for_the_commit_of_its_upstream<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let (upstream, holder) = reported(stage, &ann, hand).await;
    let next = NewTask { priority: 3, labels: words("next"), ..stage.task(ann.group) };
    let created = FollowUp::Created(TaskIds { uuid: next.uuid, number: 2 });
    assert_eq!(follow_up(stage, holder, &next).await, created);
    let task = stage.get(next.uuid).await;
    assert_eq!((task.phase, task.upstream, task.creator.as_str()), (Phase::Pending, Some(upstream), "ann"));
    assert_eq!(stage.get(upstream).await.downstream, Some(next.uuid));
    assert!(stage.claim(hand, 1).await.is_empty());

    stage.restart().await;
    stage.pass(SECOND);
    assert_eq!(stage.commit(holder, status(0)).await, Completed::Committed);
    assert_eq!(stage.phase(next.uuid).await, Phase::Ready);
    assert_eq!(stage.get(next.uuid).await.updated_at, stage.now);
    assert_eq!(stage.get(upstream).await.downstream, Some(next.uuid));
    let held = stage.claim_one(hand).await;
    assert_eq!((held.task.uuid, held.task.priority, held.lease.epoch), (next.uuid, 3, 1));
}

pub(crate) async fn the_creator_of_a_follow_up_is_that_of_its_upstream<B: Backend>(stage: &mut Stage<B>) {
    let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
    let hand = stage.hand(&ann).await;
    stage.submit(&bob, &[stage.task(ann.group)]).await;
    let holder = Holder::Lease(stage.claim_one(hand).await.lease);
    stage.report(holder, ExecEnd::Finished).await;
    let next = stage.task(ann.group);
    follow_up(stage, holder, &next).await;
    assert_eq!(stage.get(next.uuid).await.creator, "bob");
}

pub(crate) async fn asking_again_replaces_the_earlier_follow_up<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let (upstream, holder) = reported(stage, &ann, hand).await;
    let (first, second) = (stage.task(ann.group), stage.task(ann.group));
    follow_up(stage, holder, &first).await;
    for _ in 0..2 {
        assert!(matches!(follow_up(stage, holder, &second).await, FollowUp::Created(_)));
    }
    assert!(stage.store().task(first.uuid).await.unwrap().is_none());
    assert_eq!(stage.get(upstream).await.downstream, Some(second.uuid));
    stage.commit(holder, status(0)).await;
    let ready: Vec<Uuid> = stage.claim(hand, 5).await.iter().map(|held| held.task.uuid).collect();
    assert_eq!(ready, [second.uuid]);
}

pub(crate) async fn a_repeated_commit_releases_no_second_time<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let (_, holder) = reported(stage, &ann, hand).await;
    let next = stage.task(ann.group);
    follow_up(stage, holder, &next).await;
    assert_eq!(stage.commit(holder, status(0)).await, Completed::Committed);
    let held = stage.claim_one(hand).await;
    assert_eq!(stage.commit(holder, status(0)).await, Completed::Replayed);
    assert!(stage.claim(hand, 1).await.is_empty());
    stage.finish(&held).await;
}

pub(crate) async fn a_lost_attempt_takes_its_follow_up_along<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (hand, next_hand) = (stage.hand(&ann).await, stage.hand(&ann).await);
    let (upstream, holder) = reported(stage, &ann, hand).await;
    let lost = NewTask { labels: words("lost"), ..stage.task(ann.group) };
    follow_up(stage, holder, &lost).await;
    stage
        .store()
        .reserve_artifact(By::Site, lost.uuid, ArtifactKind::Result, 100, None, stage.now)
        .await
        .unwrap();
    stage.store().stop_worker(By::Site, hand.uuid, ShutdownOp::Force, stage.now).await.unwrap();
    assert!(stage.store().task(lost.uuid).await.unwrap().is_none());
    assert_eq!(stage.get(upstream).await.downstream, None);
    assert_eq!(stage.used("ann").await, 0, "what was stored for it is given back");
    assert_eq!(stage.store().garbage(10, stage.now).await.unwrap().len(), 1);

    let again = stage.claim_one(next_hand).await;
    assert_eq!(again.task.uuid, upstream);
    let holder = Holder::Lease(again.lease);
    stage.report(holder, ExecEnd::Finished).await;
    let kept = stage.task(ann.group);
    follow_up(stage, holder, &kept).await;
    stage.commit(holder, status(0)).await;
    assert_eq!(stage.phase(kept.uuid).await, Phase::Ready);
    assert_eq!(stage.get(upstream).await.downstream, Some(kept.uuid));
}

pub(crate) async fn nothing_follows_before_the_end_is_reported<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    stage.submit_one(&ann).await;
    let held = stage.claim_one(hand).await;
    let next = stage.task(ann.group);
    assert_eq!(follow_up(stage, Holder::Lease(held.lease), &next).await, FollowUp::TooEarly);
    assert!(stage.store().task(next.uuid).await.unwrap().is_none());
    stage.finish(&held).await;
    assert_eq!(follow_up(stage, Holder::Lease(held.lease), &next).await, FollowUp::NotHeld);
}

pub(crate) async fn a_follow_up_stays_in_the_group<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let lab = stage.group(&ann, "lab").await;
    let hand = stage.hand(&ann).await;
    let (upstream, holder) = reported(stage, &ann, hand).await;
    assert_eq!(follow_up(stage, holder, &stage.task(lab)).await, FollowUp::OtherGroup);
    assert_eq!(stage.get(upstream).await.downstream, None);
}

pub(crate) async fn a_refused_follow_up_leaves_the_earlier_one<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let bob = stage.person("bob").await;
    let hand = stage.hand(&bob).await;
    let may_write = |role| [("ann".to_owned(), role)].into();
    let store = stage.store();
    store.set_worker_groups(By::Site, hand.uuid, &may_write(Role::Write), stage.now).await.unwrap();
    let (upstream, holder) = reported(stage, &ann, hand).await;
    let kept = stage.task(ann.group);
    follow_up(stage, holder, &kept).await;

    store.set_worker_groups(By::Site, hand.uuid, &may_write(Role::Read), stage.now).await.unwrap();
    assert_eq!(follow_up(stage, holder, &stage.task(ann.group)).await, FollowUp::Forbidden);
    store.remove_worker_groups(By::Site, hand.uuid, &["ann".to_owned()], stage.now).await.unwrap();
    assert_eq!(follow_up(stage, holder, &stage.task(ann.group)).await, FollowUp::Forbidden);
    store.set_worker_groups(By::Site, hand.uuid, &may_write(Role::Write), stage.now).await.unwrap();
    for state in [AccountState::Locked, AccountState::Deleted] {
        store.set_account_state("ann", state, stage.now).await.unwrap();
        let outcome = follow_up(stage, holder, &stage.task(ann.group)).await;
        assert_eq!(outcome, FollowUp::CreatorNotActive);
    }
    assert_eq!(stage.get(upstream).await.downstream, Some(kept.uuid));
    stage.commit(holder, status(0)).await;
    assert_eq!(stage.phase(kept.uuid).await, Phase::Ready);
}
