//! Workers: they come, say what they can do, and are told to go.

use std::collections::BTreeMap;

use mitosis_domain::tags::Words;
use mitosis_domain::task::Phase;
use mitosis_protocol::Role;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::worker::{ShutdownOp, WorkerState};
use mitosis_store::ops::By;
use mitosis_store::ops::query::{FoundWorkers, WorkerPage, WorkerQuery};
use mitosis_store::ops::workers::{Departure, Fate, NewWorker, Stop, WorkerChange, WorkerGroupsChange};
use uuid::Uuid;

use crate::backend::Backend;
use crate::stage::{Hand, LEASE, Person, SECOND, Stage, TERMS, words};

fn relations(relations: &[(&str, Role)]) -> BTreeMap<String, Role> {
    relations.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect()
}

async fn stop<B: Backend>(stage: &Stage<B>, uuid: Uuid, op: ShutdownOp) -> Stop {
    stage.store().stop_worker(By::Site, uuid, op, stage.now).await.unwrap()
}

async fn is_there<B: Backend>(stage: &Stage<B>, hand: Hand) -> bool {
    stage.store().worker(hand.uuid).await.unwrap().is_some()
}

pub(crate) async fn a_worker_is_kept_as_it_was_registered<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let new = NewWorker { tags: words("gpu a_b"), labels: words("rack%1"), ..stage.new_worker(&ann) };
    let hand = stage.register(&new).await;
    stage.restart().await;
    let worker = stage.store().worker(hand.uuid).await.unwrap().unwrap();
    assert_eq!((worker.id, worker.uuid, worker.creator), (hand.id, new.uuid, ann.user));
    assert_eq!((worker.creator_name.as_str(), worker.creator_state), ("ann", AccountState::Active));
    assert_eq!((worker.tags, worker.labels, worker.state), (new.tags, new.labels, WorkerState::Normal));
    assert_eq!(
        (worker.created_at, worker.updated_at, worker.last_heartbeat),
        (stage.now, stage.now, stage.now)
    );
    assert!(worker.held.is_empty());
    let groups = stage.store().worker_groups(hand.id).await.unwrap();
    assert_eq!(groups, relations(&[("ann", Role::Admin)]));
    assert_eq!(stage.store().group("ann").await.unwrap().unwrap().worker_count, 1);
    assert!(stage.store().worker(stage.uuid()).await.unwrap().is_none());
}

pub(crate) async fn a_worker_shows_the_tasks_that_it_holds<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let (first, second) = (stage.submit_one(&ann).await, stage.submit_one(&ann).await);
    let held = stage.claim_one(hand).await;
    stage.pass(SECOND);
    stage.claim_one(hand).await;
    let shown = async |stage: &Stage<B>| stage.store().worker(hand.uuid).await.unwrap().unwrap().held;
    assert_eq!(shown(stage).await, [first, second]);
    stage.finish(&held).await;
    assert_eq!(shown(stage).await, [second]);
}

pub(crate) async fn a_sign_of_life_is_noted_and_the_gone_are_named<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (here, gone, quiet) = (stage.hand(&ann).await, stage.hand(&ann).await, stage.hand(&ann).await);
    stop(stage, gone.uuid, ShutdownOp::Force).await;
    let registered = stage.now;
    stage.pass(SECOND);
    let answer =
        stage.store().renew_leases(&[(here.id, TERMS), (gone.id, TERMS)], stage.now.into()).await.unwrap();
    assert_eq!(answer, [gone.id]);
    let worker = stage.store().worker(here.uuid).await.unwrap().unwrap();
    assert_eq!((worker.last_heartbeat, worker.updated_at), (stage.now, registered));
    assert_eq!(stage.store().worker(quiet.uuid).await.unwrap().unwrap().last_heartbeat, registered);
    assert!(stage.store().renew_leases(&[], stage.now.into()).await.unwrap().is_empty());
}

pub(crate) async fn tags_and_labels_are_replaced<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let store = stage.store();
    stage.pass(SECOND);
    let set_tags = async |uuid, tags: &str| {
        store.set_worker_tags(By::Site, uuid, &words(tags), stage.now).await.unwrap()
    };
    let set_labels = async |uuid, labels: &str| {
        store.set_worker_labels(By::Site, uuid, &words(labels), stage.now).await.unwrap()
    };
    assert_eq!(set_tags(hand.uuid, "x y").await, WorkerChange::Done);
    assert_eq!(set_labels(hand.uuid, "z").await, WorkerChange::Done);
    let worker = store.worker(hand.uuid).await.unwrap().unwrap();
    assert_eq!((worker.tags, worker.labels, worker.updated_at), (words("x y"), words("z"), stage.now));
    let nobody = stage.uuid();
    assert_eq!(set_tags(nobody, "x").await, WorkerChange::Unknown);
    assert_eq!(set_labels(nobody, "x").await, WorkerChange::Unknown);
}

pub(crate) async fn groups_come_and_go_together_or_not_at_all<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    stage.group(&ann, "lab").await;
    stage.group(&ann, "shop").await;
    let hand = stage.hand(&ann).await;
    let store = stage.store();
    let set = async |stage: &Stage<B>, roles: &[(&str, Role)]| {
        store.set_worker_groups(By::Site, hand.uuid, &relations(roles), stage.now).await.unwrap()
    };
    let remove = async |stage: &Stage<B>, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        store.remove_worker_groups(By::Site, hand.uuid, &names, stage.now).await.unwrap()
    };
    let unknown = WorkerGroupsChange::UnknownGroup("none".to_owned());

    assert_eq!(set(stage, &[("lab", Role::Read), ("none", Role::Read)]).await, unknown);
    assert_eq!(store.worker_groups(hand.id).await.unwrap().len(), 1);
    assert_eq!(set(stage, &[("lab", Role::Read), ("ann", Role::Write)]).await, WorkerGroupsChange::Done);
    let both = relations(&[("ann", Role::Write), ("lab", Role::Read)]);
    assert_eq!(store.worker_groups(hand.id).await.unwrap(), both);

    assert_eq!(remove(stage, &["ann", "none"]).await, unknown);
    assert_eq!(store.worker_groups(hand.id).await.unwrap(), both);
    assert_eq!(remove(stage, &["ann", "shop"]).await, WorkerGroupsChange::Done, "shop is passed over");
    assert_eq!(store.worker_groups(hand.id).await.unwrap(), relations(&[("lab", Role::Read)]));

    let nobody = stage.uuid();
    let outcome = store.set_worker_groups(By::Site, nobody, &both, stage.now).await.unwrap();
    assert_eq!(outcome, WorkerGroupsChange::UnknownWorker);
    let outcome = store.remove_worker_groups(By::Site, nobody, &["lab".to_owned()], stage.now).await.unwrap();
    assert_eq!(outcome, WorkerGroupsChange::UnknownWorker);
}

async fn crew<B: Backend>(stage: &Stage<B>, ann: &Person, bob: &Person) -> [Hand; 3] {
    let new = |owner, tags, labels, role| NewWorker {
        tags: words(tags),
        labels: words(labels),
        groups: [(ann.group, role)].into(),
        ..stage.new_worker(owner)
    };
    let plain = stage.register(&new(ann, "", "", Role::Admin)).await;
    let big = stage.register(&new(ann, "gpu big", "a%", Role::Read)).await;
    let other = stage.register(&new(bob, "gpu", "ab a%", Role::Write)).await;
    stage.hand(bob).await;
    [plain, big, other]
}

pub(crate) async fn workers_of_a_group_are_found_oldest_first<B: Backend>(stage: &mut Stage<B>) {
    let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
    let [plain, big, other] = crew(stage, &ann, &bob).await;
    let all =
        WorkerQuery { group: ann.group, roles: None, tags: words(""), labels: words(""), creator: None };
    for (query, expected) in [
        (all.clone(), vec![plain, big, other]),
        (WorkerQuery { roles: Some(vec![Role::Read, Role::Admin]), ..all.clone() }, vec![plain, big]),
        (WorkerQuery { roles: Some(vec![]), ..all.clone() }, vec![]),
        (WorkerQuery { tags: words("gpu"), ..all.clone() }, vec![big, other]),
        (WorkerQuery { tags: words("gpu big"), ..all.clone() }, vec![big]),
        (WorkerQuery { labels: words("a%"), ..all.clone() }, vec![big, other]),
        (WorkerQuery { labels: words("a_"), ..all.clone() }, vec![]),
        (WorkerQuery { creator: Some("bob".to_owned()), ..all.clone() }, vec![other]),
        (WorkerQuery { creator: Some("eve".to_owned()), ..all.clone() }, vec![]),
    ] {
        let found = stage.store().query_workers(&query, EVERYBODY).await.unwrap();
        let found: Vec<Uuid> = found.workers.iter().map(|worker| worker.uuid).collect();
        let expected: Vec<Uuid> = expected.iter().map(|hand| hand.uuid).collect();
        assert_eq!(found, expected, "{query:?}");
        assert_eq!(stage.store().count_workers(&query).await.unwrap(), expected.len() as u64);
    }
}

const EVERYBODY: WorkerPage = WorkerPage { after: None, limit: 100, bytes: usize::MAX };

pub(crate) async fn page_of_workers_ends_early_at_its_size<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let mut registered = Vec::new();
    for _ in 0..40 {
        let mut new = stage.new_worker(&ann);
        new.labels = Words::new([format!("{}{}", "x".repeat(200), new.uuid)]).unwrap();
        registered.push(stage.register(&new).await.uuid);
    }
    let all =
        WorkerQuery { group: ann.group, roles: None, tags: words(""), labels: words(""), creator: None };
    for (limit, bytes, expected) in [
        (100, usize::MAX, vec![(40, true), (0, true)]),
        (30, usize::MAX, vec![(30, false), (10, true), (0, true)]),
        (30, 14_000, vec![(19, false), (19, false), (2, true), (0, true)]),
    ] {
        let mut page = WorkerPage { after: None, limit, bytes };
        let (mut sizes, mut found) = (Vec::<(usize, bool)>::new(), Vec::new());
        while sizes.last().is_none_or(|(size, _)| *size > 0) {
            let FoundWorkers { workers, is_whole } = stage.store().query_workers(&all, page).await.unwrap();
            page.after = workers.last().map(|worker| worker.id).or(page.after);
            sizes.push((workers.len(), is_whole));
            found.extend(workers.into_iter().map(|worker| worker.uuid));
        }
        assert_eq!(sizes, expected, "{limit} {bytes}");
        assert_eq!(found, registered);
    }
    let one = stage.store().query_workers(&all, WorkerPage { bytes: 1, ..EVERYBODY }).await.unwrap();
    assert_eq!((one.workers.len(), one.is_whole), (1, false), "there is always a way on");
}

pub(crate) async fn an_idle_worker_goes_when_told_either_way<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    for op in [ShutdownOp::Graceful, ShutdownOp::Force] {
        let hand = stage.hand(&ann).await;
        assert_eq!(stop(stage, hand.uuid, op).await, Stop::Removed);
        assert!(!is_there(stage, hand).await);
        assert_eq!(stop(stage, hand.uuid, op).await, Stop::Unknown, "again");
    }
    assert_eq!(stage.store().group("ann").await.unwrap().unwrap().worker_count, 0);
}

pub(crate) async fn a_busy_worker_goes_after_its_last_task_when_asked_kindly<B: Backend>(
    stage: &mut Stage<B>,
) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let uuids = [stage.submit_one(&ann).await, stage.submit_one(&ann).await];
    let held = stage.claim(hand, 2).await;
    for _ in 0..2 {
        assert_eq!(stop(stage, hand.uuid, ShutdownOp::Graceful).await, Stop::Marked);
    }
    let worker = stage.store().worker(hand.uuid).await.unwrap().unwrap();
    assert_eq!(worker.state, WorkerState::GracefulShutdown);
    stage.finish(&held[0]).await;
    assert!(is_there(stage, hand).await, "it still holds a task");
    stage.finish(&held[1]).await;
    assert!(!is_there(stage, hand).await);
    for uuid in uuids {
        let Phase::Ended(ending) = stage.phase(uuid).await else { panic!("not over") };
        assert_eq!(ending.reporter, Some(hand.uuid), "its name outlives its record");
    }
}

pub(crate) async fn force_gives_every_held_task_back<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let uuids = [stage.submit_one(&ann).await, stage.submit_one(&ann).await];
    stage.claim(hand, 2).await;
    assert_eq!(stop(stage, hand.uuid, ShutdownOp::Graceful).await, Stop::Marked);
    assert_eq!(stop(stage, hand.uuid, ShutdownOp::Force).await, Stop::Removed);
    for uuid in uuids {
        assert_eq!(stage.phase(uuid).await, Phase::Ready);
    }
    assert_eq!(stage.losses_in_line().await, 0, "none was lost with its worker");
    assert!(stage.store().renew_leases(&[(hand.id, TERMS)], stage.now.into()).await.unwrap() == [hand.id]);
}

pub(crate) async fn removal_by_a_user_is_remembered_for_a_time<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let [forced, asked, left] = [stage.hand(&ann).await, stage.hand(&ann).await, stage.hand(&ann).await];
    let departure = async |stage: &Stage<B>, hand: Hand| stage.store().departure(hand.uuid).await.unwrap();
    stage.submit_one(&ann).await;
    let held = stage.claim(asked, 1).await;
    assert_eq!(stop(stage, asked.uuid, ShutdownOp::Graceful).await, Stop::Marked);
    assert_eq!(departure(stage, asked).await, None, "it is still there");
    stage.finish(&held[0]).await;
    stop(stage, forced.uuid, ShutdownOp::Force).await;
    let back = stage.submit_one(&ann).await;
    stage.claim(left, 1).await;
    assert_eq!(stage.store().sign_off(left.uuid, Fate::Returned, stage.now).await.unwrap(), Stop::Removed);
    assert_eq!(stage.store().sign_off(left.uuid, Fate::Returned, stage.now).await.unwrap(), Stop::Unknown);
    assert_eq!(stage.phase(back).await, Phase::Ready);
    assert_eq!(departure(stage, left).await, None, "it may come back");
    for hand in [forced, asked] {
        assert_eq!(departure(stage, hand).await, Some(Departure::Removed));
    }
    assert_eq!(stage.store().delete_departures(stage.now, 10).await.unwrap(), 0);
    stage.pass(SECOND);
    assert_eq!(stage.store().delete_departures(stage.now, 1).await.unwrap(), 1);
    assert_eq!(stage.store().delete_departures(stage.now, 10).await.unwrap(), 1);
    assert_eq!(departure(stage, forced).await, None);
}

pub(crate) async fn ended_lifetime_is_remembered_of_a_lost_worker<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let lifetime = |token_until, stage: &Stage<B>| NewWorker { token_until, ..stage.new_worker(&ann) };
    let short = stage.register(&lifetime(Some(stage.now + LEASE), stage)).await;
    let long = stage.register(&lifetime(Some(stage.now + LEASE + SECOND), stage)).await;
    let stored = stage.store().worker(short.uuid).await.unwrap().unwrap();
    assert_eq!(stored.token_until, Some(stage.now + LEASE));
    stage.pass(LEASE);
    assert_eq!(stage.store().reap(stage.now.into(), 10).await.unwrap().len(), 2);
    assert_eq!(stage.store().departure(short.uuid).await.unwrap(), Some(Departure::Expired));
    assert_eq!(stage.store().departure(long.uuid).await.unwrap(), None);
}
