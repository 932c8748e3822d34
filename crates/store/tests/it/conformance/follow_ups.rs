//! Follow-ups, which wait for the commit of the attempt that requested them.

use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_protocol::{ArtifactKind, Epoch, Role};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Completed, FollowUp, Holder};
use mitosis_store::ops::tasks::{NewTask, TaskIds};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, Person, RegisteredWorker, SECOND, status, tag_set};

async fn follow_up<B: Backend>(harness: &Harness<B>, holder: Holder, task: &NewTask) -> FollowUp {
    harness.store().submit_follow_up(holder, task, harness.now).await.answer()
}

/// A task whose command has ended, and its holder.
async fn reported<B: Backend>(
    harness: &Harness<B>,
    ann: &Person,
    worker: RegisteredWorker,
) -> (Uuid, Holder) {
    let uuid = harness.submit_one(ann).await;
    let held = harness.claim_one(worker).await;
    assert_eq!(held.task.uuid, uuid);
    let holder = Holder::Lease(held.lease);
    harness.report(holder, ExecEnd::Finished).await;
    (uuid, holder)
}

pub(crate) async fn follow_up_waits_for_the_commit_of_its_upstream<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (upstream, holder) = reported(harness, &ann, worker).await;
    let next = NewTask { priority: 3, labels: tag_set("next"), ..harness.task(ann.group) };
    let created = FollowUp::Created(TaskIds { uuid: next.uuid, number: 2 });
    assert_eq!(follow_up(harness, holder, &next).await, created);
    let task = harness.get(next.uuid).await;
    assert_eq!((task.phase, task.upstream, task.creator.as_str()), (Phase::Pending, Some(upstream), "ann"));
    assert_eq!(harness.get(upstream).await.downstream, Some(next.uuid));
    assert!(harness.claim(worker, 1).await.is_empty());

    harness.restart().await;
    harness.pass(SECOND);
    assert_eq!(harness.commit(holder, status(0)).await, Completed::Committed);
    assert_eq!(harness.phase(next.uuid).await, Phase::Ready);
    assert_eq!(harness.get(next.uuid).await.updated_at, harness.now);
    assert_eq!(harness.get(upstream).await.downstream, Some(next.uuid));
    let held = harness.claim_one(worker).await;
    assert_eq!((held.task.uuid, held.task.priority, held.lease.epoch), (next.uuid, 3, Epoch::FIRST));
}

pub(crate) async fn follow_up_has_the_creator_of_its_upstream<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let worker = harness.worker(&ann).await;
    harness.submit(&bob, &[harness.task(ann.group)]).await;
    let holder = Holder::Lease(harness.claim_one(worker).await.lease);
    harness.report(holder, ExecEnd::Finished).await;
    let next = harness.task(ann.group);
    follow_up(harness, holder, &next).await;
    assert_eq!(harness.get(next.uuid).await.creator, "bob");
}

pub(crate) async fn repeated_request_replaces_the_earlier_follow_up<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (upstream, holder) = reported(harness, &ann, worker).await;
    let (first, second) = (harness.task(ann.group), harness.task(ann.group));
    follow_up(harness, holder, &first).await;
    for _ in 0..2 {
        assert!(matches!(follow_up(harness, holder, &second).await, FollowUp::Created(_)));
    }
    assert!(harness.store().task(first.uuid).await.unwrap().is_none());
    assert_eq!(harness.get(upstream).await.downstream, Some(second.uuid));
    harness.commit(holder, status(0)).await;
    let ready: Vec<Uuid> = harness.claim(worker, 5).await.iter().map(|held| held.task.uuid).collect();
    assert_eq!(ready, [second.uuid]);
}

pub(crate) async fn repeated_commit_does_not_release_again<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (_, holder) = reported(harness, &ann, worker).await;
    let next = harness.task(ann.group);
    follow_up(harness, holder, &next).await;
    assert_eq!(harness.commit(holder, status(0)).await, Completed::Committed);
    let held = harness.claim_one(worker).await;
    assert_eq!(harness.commit(holder, status(0)).await, Completed::Replayed);
    assert!(harness.claim(worker, 1).await.is_empty());
    harness.finish(&held).await;
}

pub(crate) async fn lost_attempt_deletes_its_follow_up<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (worker, next_hand) = (harness.worker(&ann).await, harness.worker(&ann).await);
    let (upstream, holder) = reported(harness, &ann, worker).await;
    let lost = NewTask { labels: tag_set("lost"), ..harness.task(ann.group) };
    follow_up(harness, holder, &lost).await;
    harness
        .store()
        .reserve_artifact(Actor::System, lost.uuid, ArtifactKind::Result, 100, None, harness.now)
        .await
        .unwrap();
    harness.store().stop_worker(Actor::System, worker.uuid, ShutdownOp::Force, harness.now).await.answer();
    assert!(harness.store().task(lost.uuid).await.unwrap().is_none());
    assert_eq!(harness.get(upstream).await.downstream, None);
    assert_eq!(harness.used("ann").await, 0, "what was stored for it is given back");
    assert_eq!(harness.store().garbage(10, harness.now).await.unwrap().len(), 1);

    let again = harness.claim_one(next_hand).await;
    assert_eq!(again.task.uuid, upstream);
    let holder = Holder::Lease(again.lease);
    harness.report(holder, ExecEnd::Finished).await;
    let kept = harness.task(ann.group);
    follow_up(harness, holder, &kept).await;
    harness.commit(holder, status(0)).await;
    assert_eq!(harness.phase(kept.uuid).await, Phase::Ready);
    assert_eq!(harness.get(upstream).await.downstream, Some(kept.uuid));
}

pub(crate) async fn follow_up_before_the_reported_end_is_refused<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    let next = harness.task(ann.group);
    assert_eq!(follow_up(harness, Holder::Lease(held.lease), &next).await, FollowUp::TooEarly);
    assert!(harness.store().task(next.uuid).await.unwrap().is_none());
    harness.finish(&held).await;
    assert_eq!(follow_up(harness, Holder::Lease(held.lease), &next).await, FollowUp::NotHeld);
}

pub(crate) async fn follow_up_of_another_group_is_refused<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let lab = harness.group(&ann, "lab").await;
    let worker = harness.worker(&ann).await;
    let (upstream, holder) = reported(harness, &ann, worker).await;
    assert_eq!(follow_up(harness, holder, &harness.task(lab)).await, FollowUp::OtherGroup);
    assert_eq!(harness.get(upstream).await.downstream, None);
}

pub(crate) async fn refused_follow_up_keeps_the_earlier_one<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let bob = harness.person("bob").await;
    let worker = harness.worker(&bob).await;
    let may_write = |role| [("ann".to_owned(), role)].into();
    let store = harness.store();
    store.set_worker_groups(Actor::System, worker.uuid, &may_write(Role::Write), harness.now).await.answer();
    let (upstream, holder) = reported(harness, &ann, worker).await;
    let kept = harness.task(ann.group);
    follow_up(harness, holder, &kept).await;

    store.set_worker_groups(Actor::System, worker.uuid, &may_write(Role::Read), harness.now).await.answer();
    assert_eq!(follow_up(harness, holder, &harness.task(ann.group)).await, FollowUp::Forbidden);
    store.remove_worker_groups(Actor::System, worker.uuid, &["ann".to_owned()], harness.now).await.answer();
    assert_eq!(follow_up(harness, holder, &harness.task(ann.group)).await, FollowUp::Forbidden);
    store.set_worker_groups(Actor::System, worker.uuid, &may_write(Role::Write), harness.now).await.answer();
    for state in [AccountState::Locked, AccountState::Deleted] {
        store.set_account_state(Actor::System, "ann", state, harness.now).await.answer();
        let outcome = follow_up(harness, holder, &harness.task(ann.group)).await;
        assert_eq!(outcome, FollowUp::CreatorNotActive);
    }
    assert_eq!(harness.get(upstream).await.downstream, Some(kept.uuid));
    harness.commit(holder, status(0)).await;
    assert_eq!(harness.phase(kept.uuid).await, Phase::Ready);
}
