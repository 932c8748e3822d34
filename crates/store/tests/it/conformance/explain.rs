//! The facts that explain the state of a task.

use std::collections::BTreeMap;

use mitosis_domain::explain::{Ahead, EligibleWorkers, Facts, Found, Holder, Nearest, Standing, Watched};
use mitosis_domain::lease::LeaseTerms;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::worker::{ShutdownOp, WorkerState};
use mitosis_protocol::{Epoch, ExecState, Role, TaskSpec, TaskState};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{self, FollowUp};
use mitosis_store::ops::tasks::{NewTask, TaskChange};
use mitosis_store::ops::workers::NewWorker;
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, LEASE, Person, RegisteredWorker, SECOND, TERMS, status, tag_set};

async fn facts<B: Backend>(harness: &Harness<B>, uuid: Uuid) -> Facts {
    harness.store().facts(uuid).await.unwrap().expect("the task is there")
}

async fn eligible_workers<B: Backend>(harness: &Harness<B>, uuid: Uuid) -> EligibleWorkers {
    match facts(harness, uuid).await.standing {
        Standing::Ready { workers, .. } => workers,
        other => panic!("{other:?}"),
    }
}

async fn ahead<B: Backend>(harness: &Harness<B>, uuid: Uuid) -> u64 {
    match facts(harness, uuid).await.standing {
        Standing::Ready { ahead, .. } => ahead.number(),
        other => panic!("{other:?}"),
    }
}

/// A worker of ann's personal group with this role and these tags.
async fn member<B: Backend>(harness: &Harness<B>, ann: &Person, role: Role, tags: &str) -> RegisteredWorker {
    let groups = BTreeMap::from([(ann.group, role)]);
    harness.register(&NewWorker { tags: tag_set(tags), groups, ..harness.new_worker(ann) }).await
}

pub(crate) async fn workers_of_a_group_are_counted_by_eligibility<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    assert!(harness.store().facts(harness.uuid()).await.unwrap().is_none());
    let wanted = NewTask { tags: tag_set("eu gpu"), ..harness.task(ann.group) };
    let uuid = harness.submit(&ann, &[wanted]).await[0].uuid;
    member(harness, &raj, Role::Admin, "eu gpu").await;
    assert_eq!(eligible_workers(harness, uuid).await, EligibleWorkers::default());

    member(harness, &ann, Role::Read, "eu gpu").await;
    assert_eq!(
        eligible_workers(harness, uuid).await,
        EligibleWorkers { listed: 1, ..EligibleWorkers::default() }
    );

    member(harness, &ann, Role::Write, "eu").await;
    let busy = member(harness, &ann, Role::Admin, "us eu gpu").await;
    let stopping = member(harness, &ann, Role::Write, "eu gpu").await;
    let urgent = || NewTask { priority: 1, ..harness.task(ann.group) };
    harness.submit(&ann, &[urgent(), urgent()]).await;
    harness.claim(busy, 1).await;
    harness.claim(stopping, 1).await;
    harness
        .store()
        .stop_worker(Actor::System, stopping.uuid, ShutdownOp::Graceful, harness.now)
        .await
        .answer();
    harness.pass(SECOND);
    let free = member(harness, &ann, Role::Write, "eu gpu").await;
    let counted = EligibleWorkers {
        listed: 5,
        serving: 4,
        fitting: 3,
        draining: 1,
        free: 1,
        heard_at: Some(harness.now),
        free_heard_at: Some(harness.now),
        free_until: Some(harness.now + LEASE),
        free_silent_at: Some(harness.now + LEASE),
        nearest: None,
    };
    assert_eq!(eligible_workers(harness, uuid).await, counted);
    let described = facts(harness, uuid).await;
    assert_eq!((described.uuid, described.group.as_str(), described.tags), (uuid, "ann", tag_set("eu gpu")));

    harness.pass(SECOND);
    harness.store().renew_leases(&[(busy.id, TERMS)], harness.now.into()).await.unwrap();
    let later = EligibleWorkers { heard_at: Some(harness.now), ..counted };
    assert_eq!(eligible_workers(harness, uuid).await, later);
    harness.store().stop_worker(Actor::System, free.uuid, ShutdownOp::Force, harness.now).await.answer();
    let fewer = EligibleWorkers {
        listed: 4,
        serving: 3,
        fitting: 2,
        free: 0,
        free_heard_at: None,
        free_until: None,
        free_silent_at: None,
        ..later
    };
    assert_eq!(eligible_workers(harness, uuid).await, fewer);
}

pub(crate) async fn worker_with_a_free_slot_is_free<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.register(&NewWorker { slots: Some(2), ..harness.new_worker(&ann) }).await;
    harness.submit(&ann, &[harness.task(ann.group), harness.task(ann.group)]).await;
    let uuid = harness.submit_one(&ann).await;
    for held in 0..3 {
        assert_eq!(eligible_workers(harness, uuid).await.free, u64::from(held < 2), "with {held} tasks");
        if held < 2 {
            harness.claim(worker, 1).await;
        }
    }
}

pub(crate) async fn nearest_worker_lacks_the_fewest_tags<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let wanted = NewTask { tags: tag_set("a b c"), ..harness.task(ann.group) };
    let uuid = harness.submit(&ann, &[wanted]).await[0].uuid;
    member(harness, &ann, Role::Read, "a b").await;
    let none = member(harness, &ann, Role::Write, "").await;
    assert_eq!(
        eligible_workers(harness, uuid).await.nearest,
        Some(Nearest { worker: none.uuid, missing: tag_set("a b c") })
    );
    let near = member(harness, &ann, Role::Write, "x c a").await;
    member(harness, &ann, Role::Write, "a b").await;
    member(harness, &ann, Role::Write, "a").await;
    assert_eq!(
        eligible_workers(harness, uuid).await.nearest,
        Some(Nearest { worker: near.uuid, missing: tag_set("b") })
    );
}

pub(crate) async fn tasks_ahead_are_those_of_the_lane<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let lab = harness.group(&ann, "lab").await;
    let mut uuids = Vec::new();
    for new in [
        harness.task(ann.group),
        NewTask { priority: 5, ..harness.task(ann.group) },
        NewTask { priority: -5, ..harness.task(ann.group) },
        NewTask { tags: tag_set("gpu"), priority: 9, ..harness.task(ann.group) },
        NewTask { priority: 9, ..harness.task(lab) },
        harness.task(ann.group),
    ] {
        uuids.push(harness.submit(&ann, &[new]).await[0].uuid);
    }
    let mut places = Vec::new();
    for uuid in &uuids {
        places.push(ahead(harness, *uuid).await);
    }
    assert_eq!(places, [1, 0, 3, 0, 0, 2]);

    let last = TaskChange { priority: Some(-9), ..TaskChange::default() };
    harness.store().change_task(Actor::System, uuids[1], &last, harness.now).await.answer();
    assert_eq!(ahead(harness, uuids[1]).await, 3);
    let worker = harness.worker(&ann).await;
    harness.claim(worker, 2).await;
    assert_eq!(ahead(harness, uuids[1]).await, 1);
}

pub(crate) async fn tasks_ahead_are_counted_up_to_a_limit<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let many = usize::try_from(Ahead::COUNTED).unwrap() + 5;
    let tasks: Vec<NewTask> = (0..many).map(|_| harness.task(ann.group)).collect();
    let ids = harness.submit(&ann, &tasks).await;
    assert_eq!(ahead(harness, ids[many - 5].uuid).await, Ahead::COUNTED);
    assert_eq!(ahead(harness, ids[many - 4].uuid).await, Ahead::COUNTED + 1);
    assert_eq!(ahead(harness, ids[many - 1].uuid).await, Ahead::COUNTED + 1);
}

pub(crate) async fn facts_of_a_held_task_include_holder_and_watched_task<B: Backend>(
    harness: &mut Harness<B>,
) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let worker = harness.worker(&ann).await;
    let watched = harness.submit_one(&raj).await;
    let nowhere = harness.uuid();
    for (watched, found) in [
        (watched, Some(Found { group: "raj".to_owned(), state: TaskState::Ready, result: None })),
        (nowhere, None),
    ] {
        let terms = LeaseTerms::new(SECOND * 20, LEASE, None);
        let target = ExecState::TaskCommitted;
        let plain = harness.task(ann.group);
        let new =
            NewTask { spec: TaskSpec { watch: Some((watched, target)), ..plain.spec.clone() }, ..plain };
        let uuid = harness.submit(&ann, &[new]).await[0].uuid;
        let held = harness.claim_one(worker).await;
        harness.pass(SECOND);
        harness.store().renew_leases(&[(worker.id, terms)], harness.now.into()).await.unwrap();
        let Standing::Held { attempt, reported, holder, watched: described } =
            facts(harness, uuid).await.standing
        else {
            panic!("it is held")
        };
        assert_eq!((attempt.worker, attempt.epoch, reported), (worker.uuid, Epoch::FIRST, None));
        let alive = Holder {
            heard_at: harness.now,
            lease_until: harness.now + LEASE,
            silent_at: harness.now + SECOND * 20,
            state: WorkerState::Normal,
        };
        assert_eq!(holder, alive);
        assert_eq!(described, Some(Watched { uuid: watched, target, found }));
        harness.finish(&held).await;
    }
    let uuid = harness.submit_one(&ann).await;
    let holder = dispatch::Holder::Lease(harness.claim_one(worker).await.lease);
    harness.store().stop_worker(Actor::System, worker.uuid, ShutdownOp::Graceful, harness.now).await.answer();
    harness.report(holder, ExecEnd::Cancelled).await;
    let Standing::Held { reported, holder, watched, .. } = facts(harness, uuid).await.standing else {
        panic!("it is held")
    };
    assert_eq!((reported, watched), (Some(ExecEnd::Cancelled), None));
    assert_eq!(holder.state, WorkerState::GracefulShutdown);
}

pub(crate) async fn facts_include_the_upstream_or_the_result<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let upstream = harness.submit_one(&ann).await;
    let holder = dispatch::Holder::Lease(harness.claim_one(worker).await.lease);
    harness.report(holder, ExecEnd::Finished).await;
    let next = harness.task(ann.group);
    let made = harness.store().submit_follow_up(holder, &next, harness.now).await.answer();
    assert!(matches!(made, FollowUp::Created(_)));
    let pending = Standing::Pending { upstream, state: TaskState::Finished };
    assert_eq!(facts(harness, next.uuid).await.standing, pending);
    harness.commit(holder, status(7)).await;
    let Standing::Ended(ending) = facts(harness, upstream).await.standing else { panic!("it has not ended") };
    assert_eq!((ending.result, ending.reporter, ending.at), (status(7), Some(worker.uuid), harness.now));
}
