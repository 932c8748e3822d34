//! What has to be known to explain a task.

use std::collections::BTreeMap;

use mitosis_domain::explain::{Ahead, Crew, Facts, Found, Holder, Nearest, Standing, Watched};
use mitosis_domain::lease::LeaseTerms;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::worker::{ShutdownOp, WorkerState};
use mitosis_protocol::{ExecState, Role, TaskSpec, TaskState};
use mitosis_store::ops::By;
use mitosis_store::ops::dispatch::{self, FollowUp};
use mitosis_store::ops::tasks::{NewTask, TaskChange};
use mitosis_store::ops::workers::NewWorker;
use uuid::Uuid;

use crate::backend::Backend;
use crate::stage::{Hand, LEASE, Person, SECOND, Stage, TERMS, status, words};

async fn facts<B: Backend>(stage: &Stage<B>, uuid: Uuid) -> Facts {
    stage.store().facts(uuid).await.unwrap().expect("the task is there")
}

async fn crew<B: Backend>(stage: &Stage<B>, uuid: Uuid) -> Crew {
    match facts(stage, uuid).await.standing {
        Standing::Ready { crew, .. } => crew,
        other => panic!("{other:?}"),
    }
}

async fn ahead<B: Backend>(stage: &Stage<B>, uuid: Uuid) -> u64 {
    match facts(stage, uuid).await.standing {
        Standing::Ready { ahead, .. } => ahead.number(),
        other => panic!("{other:?}"),
    }
}

/// A worker of ann's own group with this role and these tags.
async fn member<B: Backend>(stage: &Stage<B>, ann: &Person, role: Role, tags: &str) -> Hand {
    let groups = BTreeMap::from([(ann.group, role)]);
    stage.register(&NewWorker { tags: words(tags), groups, ..stage.new_worker(ann) }).await
}

pub(crate) async fn the_workers_of_a_group_are_counted_by_what_each_can_do<B: Backend>(stage: &mut Stage<B>) {
    let (ann, raj) = (stage.person("ann").await, stage.person("raj").await);
    assert!(stage.store().facts(stage.uuid()).await.unwrap().is_none());
    let wanted = NewTask { tags: words("eu gpu"), ..stage.task(ann.group) };
    let uuid = stage.submit(&ann, &[wanted]).await[0].uuid;
    member(stage, &raj, Role::Admin, "eu gpu").await;
    assert_eq!(crew(stage, uuid).await, Crew::default());

    member(stage, &ann, Role::Read, "eu gpu").await;
    assert_eq!(crew(stage, uuid).await, Crew { listed: 1, ..Crew::default() });

    member(stage, &ann, Role::Write, "eu").await;
    let busy = member(stage, &ann, Role::Admin, "us eu gpu").await;
    let stopping = member(stage, &ann, Role::Write, "eu gpu").await;
    let urgent = || NewTask { priority: 1, ..stage.task(ann.group) };
    stage.submit(&ann, &[urgent(), urgent()]).await;
    stage.claim(busy, 1).await;
    stage.claim(stopping, 1).await;
    stage.store().stop_worker(By::Site, stopping.uuid, ShutdownOp::Graceful, stage.now).await.unwrap();
    stage.pass(SECOND);
    let free = member(stage, &ann, Role::Write, "eu gpu").await;
    let counted = Crew {
        listed: 5,
        serving: 4,
        fitting: 3,
        draining: 1,
        free: 1,
        heard_at: Some(stage.now),
        free_heard_at: Some(stage.now),
        free_until: Some(stage.now + LEASE),
        free_silent_at: Some(stage.now + LEASE),
        nearest: None,
    };
    assert_eq!(crew(stage, uuid).await, counted);
    let told = facts(stage, uuid).await;
    assert_eq!((told.uuid, told.group.as_str(), told.tags), (uuid, "ann", words("eu gpu")));

    stage.pass(SECOND);
    stage.store().renew_leases(&[(busy.id, TERMS)], stage.now.into()).await.unwrap();
    let later = Crew { heard_at: Some(stage.now), ..counted };
    assert_eq!(crew(stage, uuid).await, later);
    stage.store().stop_worker(By::Site, free.uuid, ShutdownOp::Force, stage.now).await.unwrap();
    let fewer = Crew {
        listed: 4,
        serving: 3,
        fitting: 2,
        free: 0,
        free_heard_at: None,
        free_until: None,
        free_silent_at: None,
        ..later
    };
    assert_eq!(crew(stage, uuid).await, fewer);
}

pub(crate) async fn a_worker_with_several_slots_is_free_until_all_are_taken<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    let hand = stage.register(&NewWorker { slots: Some(2), ..stage.new_worker(&ann) }).await;
    stage.submit(&ann, &[stage.task(ann.group), stage.task(ann.group)]).await;
    let uuid = stage.submit_one(&ann).await;
    for held in 0..3 {
        assert_eq!(crew(stage, uuid).await.free, u64::from(held < 2), "with {held} tasks");
        if held < 2 {
            stage.claim(hand, 1).await;
        }
    }
}

pub(crate) async fn the_nearest_worker_lacks_the_fewest_tags<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let wanted = NewTask { tags: words("a b c"), ..stage.task(ann.group) };
    let uuid = stage.submit(&ann, &[wanted]).await[0].uuid;
    member(stage, &ann, Role::Read, "a b").await;
    let none = member(stage, &ann, Role::Write, "").await;
    assert_eq!(crew(stage, uuid).await.nearest, Some(Nearest { worker: none.uuid, missing: words("a b c") }));
    let near = member(stage, &ann, Role::Write, "x c a").await;
    member(stage, &ann, Role::Write, "a b").await;
    member(stage, &ann, Role::Write, "a").await;
    assert_eq!(crew(stage, uuid).await.nearest, Some(Nearest { worker: near.uuid, missing: words("b") }));
}

pub(crate) async fn the_place_in_line_is_that_of_the_lane<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let lab = stage.group(&ann, "lab").await;
    let mut uuids = Vec::new();
    for new in [
        stage.task(ann.group),
        NewTask { priority: 5, ..stage.task(ann.group) },
        NewTask { priority: -5, ..stage.task(ann.group) },
        NewTask { tags: words("gpu"), priority: 9, ..stage.task(ann.group) },
        NewTask { priority: 9, ..stage.task(lab) },
        stage.task(ann.group),
    ] {
        uuids.push(stage.submit(&ann, &[new]).await[0].uuid);
    }
    let mut places = Vec::new();
    for uuid in &uuids {
        places.push(ahead(stage, *uuid).await);
    }
    assert_eq!(places, [1, 0, 3, 0, 0, 2]);

    let last = TaskChange { priority: Some(-9), ..TaskChange::default() };
    stage.store().change_task(By::Site, uuids[1], &last, stage.now).await.unwrap();
    assert_eq!(ahead(stage, uuids[1]).await, 3);
    let hand = stage.hand(&ann).await;
    stage.claim(hand, 2).await;
    assert_eq!(ahead(stage, uuids[1]).await, 1);
}

pub(crate) async fn the_count_of_a_long_line_ends_early<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let many = usize::try_from(Ahead::COUNTED).unwrap() + 5;
    let tasks: Vec<NewTask> = (0..many).map(|_| stage.task(ann.group)).collect();
    let ids = stage.submit(&ann, &tasks).await;
    assert_eq!(ahead(stage, ids[many - 5].uuid).await, Ahead::COUNTED);
    assert_eq!(ahead(stage, ids[many - 4].uuid).await, Ahead::COUNTED + 1);
    assert_eq!(ahead(stage, ids[many - 1].uuid).await, Ahead::COUNTED + 1);
}

pub(crate) async fn a_held_task_is_told_with_its_holder_and_what_it_watches<B: Backend>(
    stage: &mut Stage<B>,
) {
    let (ann, raj) = (stage.person("ann").await, stage.person("raj").await);
    let hand = stage.hand(&ann).await;
    let watched = stage.submit_one(&raj).await;
    let nowhere = stage.uuid();
    for (watched, found) in [
        (watched, Some(Found { group: "raj".to_owned(), state: TaskState::Ready, result: None })),
        (nowhere, None),
    ] {
        let terms = LeaseTerms::new(SECOND * 20, LEASE, None);
        let target = ExecState::TaskCommitted;
        let plain = stage.task(ann.group);
        let new =
            NewTask { spec: TaskSpec { watch: Some((watched, target)), ..plain.spec.clone() }, ..plain };
        let uuid = stage.submit(&ann, &[new]).await[0].uuid;
        let held = stage.claim_one(hand).await;
        stage.pass(SECOND);
        stage.store().renew_leases(&[(hand.id, terms)], stage.now.into()).await.unwrap();
        let Standing::Held { attempt, reported, holder, watched: told } = facts(stage, uuid).await.standing
        else {
            panic!("it is held")
        };
        assert_eq!((attempt.worker, attempt.epoch, reported), (hand.uuid, 1, None));
        let alive = Holder {
            heard_at: stage.now,
            lease_until: stage.now + LEASE,
            silent_at: stage.now + SECOND * 20,
            state: WorkerState::Normal,
        };
        assert_eq!(holder, alive);
        assert_eq!(told, Some(Watched { uuid: watched, target, found }));
        stage.finish(&held).await;
    }
    let uuid = stage.submit_one(&ann).await;
    let holder = dispatch::Holder::Lease(stage.claim_one(hand).await.lease);
    stage.store().stop_worker(By::Site, hand.uuid, ShutdownOp::Graceful, stage.now).await.unwrap();
    stage.report(holder, ExecEnd::Cancelled).await;
    let Standing::Held { reported, holder, watched, .. } = facts(stage, uuid).await.standing else {
        panic!("it is held")
    };
    assert_eq!((reported, watched), (Some(ExecEnd::Cancelled), None));
    assert_eq!(holder.state, WorkerState::GracefulShutdown);
}

pub(crate) async fn a_follow_up_is_told_with_its_upstream_and_an_end_with_its_result<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let upstream = stage.submit_one(&ann).await;
    let holder = dispatch::Holder::Lease(stage.claim_one(hand).await.lease);
    stage.report(holder, ExecEnd::Finished).await;
    let next = stage.task(ann.group);
    let made = stage.store().submit_follow_up(holder, &next, stage.now).await.unwrap();
    assert!(matches!(made, FollowUp::Created(_)));
    let pending = Standing::Pending { upstream, state: TaskState::Finished };
    assert_eq!(facts(stage, next.uuid).await.standing, pending);
    stage.commit(holder, status(7)).await;
    let Standing::Ended(ending) = facts(stage, upstream).await.standing else { panic!("it is over") };
    assert_eq!((ending.result, ending.reporter, ending.at), (status(7), Some(hand.uuid), stage.now));
}
