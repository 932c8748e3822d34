//! Registration, changes and removal of workers.

use std::collections::BTreeMap;

use mitosis_domain::tags::TagSet;
use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_protocol::Role;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::worker::{ShutdownOp, WorkerFacts, WorkerState};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Assigned, Ended, Exchange};
use mitosis_store::ops::query::{FoundWorkers, WorkerPage, WorkerQuery};
use mitosis_store::ops::workers::{Departure, Fate, NewWorker, Stop, WorkerChange, WorkerGroupsChange};
use uuid::Uuid;

use crate::backend::Backend;
use crate::conformance::exchange::takes;
use crate::harness::Answer as _;
use crate::harness::{Harness, LEASE, Person, RegisteredWorker, SECOND, TERMS, status, tag_set};

fn relations(relations: &[(&str, Role)]) -> BTreeMap<String, Role> {
    relations.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect()
}

async fn stop<B: Backend>(harness: &Harness<B>, uuid: Uuid, op: ShutdownOp) -> Stop {
    harness.store().stop_worker(Actor::System, uuid, op, harness.now).await.answer()
}

async fn is_there<B: Backend>(harness: &Harness<B>, worker: RegisteredWorker) -> bool {
    harness.store().worker(worker.uuid).await.unwrap().is_some()
}

pub(crate) async fn worker_is_stored_as_registered<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let new = NewWorker { tags: tag_set("gpu a_b"), labels: tag_set("rack%1"), ..harness.new_worker(&ann) };
    let worker = harness.register(&new).await;
    harness.restart().await;
    let worker = harness.store().worker(worker.uuid).await.unwrap().unwrap();
    assert_eq!((worker.id, worker.uuid, worker.creator), (worker.id, new.uuid, ann.user));
    assert_eq!((worker.creator_name.as_str(), worker.creator_state), ("ann", AccountState::Active));
    assert_eq!((worker.tags, worker.labels, worker.state), (new.tags, new.labels, WorkerState::Normal));
    assert_eq!(
        (worker.created_at, worker.updated_at, worker.last_heartbeat),
        (harness.now, harness.now, harness.now)
    );
    assert!(worker.held.is_empty());
    let groups = harness.store().worker_groups(worker.id).await.unwrap();
    assert_eq!(groups, relations(&[("ann", Role::Admin)]));
    assert_eq!(harness.store().group("ann").await.unwrap().unwrap().worker_count, 1);
    assert!(harness.store().worker(harness.uuid()).await.unwrap().is_none());
}

/// The names of workers that attempts name.
async fn hosts<B: Backend>(harness: &Harness<B>, task: Uuid) -> Vec<Option<String>> {
    let attempts = harness.store().attempts(task).await.unwrap();
    attempts.into_iter().map(|attempt| attempt.host).collect()
}

async fn kept_hosts<B: Backend>(harness: &Harness<B>) -> i64 {
    harness.scalar("SELECT count(*) FROM worker_host").await
}

pub(crate) async fn host_stays_known_as_long_as_an_attempt<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let on = |host: &str| NewWorker { host: Some(host.to_owned()), ..harness.new_worker(&ann) };
    let (lost, idle, second) = (on("node-1"), on("node-2"), on("node-3"));
    let (lost, idle) = (harness.register(&lost).await, harness.register(&idle).await);
    let shown = harness.store().worker(lost.uuid).await.unwrap().unwrap();
    assert_eq!(shown.host.as_deref(), Some("node-1"));

    let task = harness.submit_one(&ann).await;
    harness.claim_one(lost).await;
    let facts = harness.store().facts(task).await.unwrap().unwrap();
    assert_eq!(facts.host.as_deref(), Some("node-1"));
    harness.store().sign_off(lost.uuid, Fate::WorkerLost, harness.now).await.answer();
    let second = harness.register(&second).await;
    harness.finish(&harness.claim_one(second).await).await;
    for worker in [idle, second] {
        assert_eq!(stop(harness, worker.uuid, ShutdownOp::Force).await, Stop::Removed);
    }
    assert_eq!(hosts(harness, task).await, [Some("node-1".to_owned()), Some("node-3".to_owned())]);
    let facts = harness.store().facts(task).await.unwrap().unwrap();
    assert_eq!(facts.host.as_deref(), Some("node-3"));
    assert_eq!(kept_hosts(harness).await, 2, "no attempt names the idle worker");

    harness.pass(SECOND);
    harness.store().delete_ended_tasks(harness.now, None, 10, harness.now).await.unwrap();
    assert_eq!(kept_hosts(harness).await, 0);
}

pub(crate) async fn facts_of_a_worker_are_shown<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let facts = WorkerFacts {
        version: Some("1.2.3".to_owned()),
        isolation: Some("cgroup".to_owned()),
        free_space: Some(1 << 40),
    };
    let new =
        NewWorker { host: Some("node-1".to_owned()), facts: Some(facts.clone()), ..harness.new_worker(&ann) };
    let worker = harness.register(&new).await;
    let shown = harness.store().worker(worker.uuid).await.unwrap().unwrap();
    assert_eq!((shown.facts, shown.drain_reason), (Some(facts), None));
}

pub(crate) async fn drained_worker_keeps_its_tasks_and_takes_no_others<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let worker = harness.worker(&ann).await;
    let (first, second) = (harness.submit_one(&ann).await, harness.submit_one(&ann).await);
    let held = takes(harness, worker, 1).await.remove(0);
    assert_eq!(held.uuid, first);
    let drain = async |actor, reason| {
        let changed = harness.store().drain_worker(actor, worker.uuid, reason, harness.now).await.unwrap();
        changed.into_parts()
    };
    let (by_bob, effects) = drain(Actor::User(bob.user), Some("mine")).await;
    assert_eq!((by_bob, effects.workers.len()), (WorkerChange::Denied, 0));
    assert_eq!(drain(Actor::User(ann.user), Some("disk")).await.0, WorkerChange::Done);
    let shown = harness.store().worker(worker.uuid).await.unwrap().unwrap();
    assert_eq!((shown.drain_reason.as_deref(), shown.held), (Some("disk"), vec![first]));
    assert!(takes(harness, worker, 1).await.is_empty());
    let ended = Ended {
        lease: held.lease,
        end: ExecEnd::Finished,
        result: status(0),
        data: None,
        warnings: Vec::new(),
        archives: Vec::new(),
        usage: None,
    };
    let exchanged =
        harness.exchange_one(Exchange { ended: vec![ended], want: 1, ..harness.nothing(worker) }).await;
    assert!(matches!(exchanged.assigned, Assigned::Work(work, _) if work.is_empty()), "it stays registered");
    let (resumed, effects) = drain(Actor::User(ann.user), None).await;
    assert_eq!((resumed, effects.ready, effects.workers), (WorkerChange::Done, true, vec![worker.uuid]));
    assert_eq!(takes(harness, worker, 1).await[0].uuid, second);
    let unknown = harness.store().drain_worker(Actor::System, Uuid::nil(), None, harness.now).await.unwrap();
    assert_eq!(unknown.into_parts().0, WorkerChange::Unknown);
}

pub(crate) async fn worker_shows_the_tasks_that_it_holds<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (first, second) = (harness.submit_one(&ann).await, harness.submit_one(&ann).await);
    let held = harness.claim_one(worker).await;
    harness.pass(SECOND);
    harness.claim_one(worker).await;
    let shown = async |harness: &Harness<B>| harness.store().worker(worker.uuid).await.unwrap().unwrap().held;
    assert_eq!(shown(harness).await, [first, second]);
    harness.finish(&held).await;
    assert_eq!(shown(harness).await, [second]);
}

pub(crate) async fn heartbeats_are_stored_and_gone_workers_returned<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (here, gone, quiet) =
        (harness.worker(&ann).await, harness.worker(&ann).await, harness.worker(&ann).await);
    stop(harness, gone.uuid, ShutdownOp::Force).await;
    let registered = harness.now;
    harness.pass(SECOND);
    let answer = harness
        .store()
        .renew_leases(&[(here.id, TERMS), (gone.id, TERMS)], harness.now.into())
        .await
        .unwrap();
    assert_eq!(answer, [gone.id]);
    let worker = harness.store().worker(here.uuid).await.unwrap().unwrap();
    assert_eq!((worker.last_heartbeat, worker.updated_at), (harness.now, registered));
    assert_eq!(harness.store().worker(quiet.uuid).await.unwrap().unwrap().last_heartbeat, registered);
    assert!(harness.store().renew_leases(&[], harness.now.into()).await.unwrap().is_empty());
}

pub(crate) async fn tags_and_labels_are_replaced<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let store = harness.store();
    harness.pass(SECOND);
    let set_tags = async |uuid, tags: &str| {
        store.set_worker_tags(Actor::System, uuid, &tag_set(tags), harness.now).await.answer()
    };
    let set_labels = async |uuid, labels: &str| {
        store.set_worker_labels(Actor::System, uuid, &tag_set(labels), harness.now).await.unwrap()
    };
    assert_eq!(set_tags(worker.uuid, "x y").await, WorkerChange::Done);
    assert_eq!(set_labels(worker.uuid, "z").await, WorkerChange::Done);
    let worker = store.worker(worker.uuid).await.unwrap().unwrap();
    assert_eq!((worker.tags, worker.labels, worker.updated_at), (tag_set("x y"), tag_set("z"), harness.now));
    let unknown = harness.uuid();
    assert_eq!(set_tags(unknown, "x").await, WorkerChange::Unknown);
    assert_eq!(set_labels(unknown, "x").await, WorkerChange::Unknown);
}

pub(crate) async fn worker_groups_change_all_or_nothing<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    harness.group(&ann, "lab").await;
    harness.group(&ann, "shop").await;
    let worker = harness.worker(&ann).await;
    let store = harness.store();
    let set = async |harness: &Harness<B>, roles: &[(&str, Role)]| {
        store.set_worker_groups(Actor::System, worker.uuid, &relations(roles), harness.now).await.answer()
    };
    let remove = async |harness: &Harness<B>, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        store.remove_worker_groups(Actor::System, worker.uuid, &names, harness.now).await.answer()
    };
    let unknown = WorkerGroupsChange::UnknownGroup("none".to_owned());

    assert_eq!(set(harness, &[("lab", Role::Read), ("none", Role::Read)]).await, unknown);
    assert_eq!(store.worker_groups(worker.id).await.unwrap().len(), 1);
    assert_eq!(set(harness, &[("lab", Role::Read), ("ann", Role::Write)]).await, WorkerGroupsChange::Done);
    let both = relations(&[("ann", Role::Write), ("lab", Role::Read)]);
    assert_eq!(store.worker_groups(worker.id).await.unwrap(), both);

    assert_eq!(remove(harness, &["ann", "none"]).await, unknown);
    assert_eq!(store.worker_groups(worker.id).await.unwrap(), both);
    assert_eq!(remove(harness, &["ann", "shop"]).await, WorkerGroupsChange::Done, "shop is skipped");
    assert_eq!(store.worker_groups(worker.id).await.unwrap(), relations(&[("lab", Role::Read)]));

    let unknown = harness.uuid();
    let outcome = store.set_worker_groups(Actor::System, unknown, &both, harness.now).await.answer();
    assert_eq!(outcome, WorkerGroupsChange::UnknownWorker);
    let outcome =
        store.remove_worker_groups(Actor::System, unknown, &["lab".to_owned()], harness.now).await.answer();
    assert_eq!(outcome, WorkerGroupsChange::UnknownWorker);
}

async fn register_workers<B: Backend>(
    harness: &Harness<B>,
    ann: &Person,
    bob: &Person,
) -> [RegisteredWorker; 3] {
    let new = |owner, tags, labels, role| NewWorker {
        tags: tag_set(tags),
        labels: tag_set(labels),
        groups: [(ann.group, role)].into(),
        ..harness.new_worker(owner)
    };
    let plain = harness.register(&new(ann, "", "", Role::Admin)).await;
    let big = harness.register(&new(ann, "gpu big", "a%", Role::Read)).await;
    let other = harness.register(&new(bob, "gpu", "ab a%", Role::Write)).await;
    harness.worker(bob).await;
    [plain, big, other]
}

pub(crate) async fn workers_of_a_group_are_found_oldest_first<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let [plain, big, other] = register_workers(harness, &ann, &bob).await;
    let all =
        WorkerQuery { group: ann.group, roles: None, tags: tag_set(""), labels: tag_set(""), creator: None };
    for (query, expected) in [
        (all.clone(), vec![plain, big, other]),
        (WorkerQuery { roles: Some(vec![Role::Read, Role::Admin]), ..all.clone() }, vec![plain, big]),
        (WorkerQuery { roles: Some(vec![]), ..all.clone() }, vec![]),
        (WorkerQuery { tags: tag_set("gpu"), ..all.clone() }, vec![big, other]),
        (WorkerQuery { tags: tag_set("gpu big"), ..all.clone() }, vec![big]),
        (WorkerQuery { labels: tag_set("a%"), ..all.clone() }, vec![big, other]),
        (WorkerQuery { labels: tag_set("a_"), ..all.clone() }, vec![]),
        (WorkerQuery { creator: Some("bob".to_owned()), ..all.clone() }, vec![other]),
        (WorkerQuery { creator: Some("eve".to_owned()), ..all.clone() }, vec![]),
    ] {
        let found = harness.store().query_workers(&query, ALL_WORKERS).await.unwrap();
        let found: Vec<Uuid> = found.workers.iter().map(|worker| worker.uuid).collect();
        let expected: Vec<Uuid> = expected.iter().map(|worker| worker.uuid).collect();
        assert_eq!(found, expected, "{query:?}");
        assert_eq!(harness.store().count_workers(&query).await.unwrap(), expected.len() as u64);
    }
}

const ALL_WORKERS: WorkerPage = WorkerPage { after: None, limit: 100, bytes: usize::MAX };

pub(crate) async fn page_of_workers_ends_at_its_size_limit<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let mut registered = Vec::new();
    for _ in 0..40 {
        let mut new = harness.new_worker(&ann);
        new.labels = TagSet::new([format!("{}{}", "x".repeat(200), new.uuid)]).unwrap();
        registered.push(harness.register(&new).await.uuid);
    }
    let all =
        WorkerQuery { group: ann.group, roles: None, tags: tag_set(""), labels: tag_set(""), creator: None };
    for (limit, bytes, expected) in [
        (100, usize::MAX, vec![(40, true), (0, true)]),
        (30, usize::MAX, vec![(30, false), (10, true), (0, true)]),
        (30, 14_000, vec![(19, false), (19, false), (2, true), (0, true)]),
    ] {
        let mut page = WorkerPage { after: None, limit, bytes };
        let (mut sizes, mut found) = (Vec::<(usize, bool)>::new(), Vec::new());
        while sizes.last().is_none_or(|(size, _)| *size > 0) {
            let FoundWorkers { workers, is_complete } =
                harness.store().query_workers(&all, page).await.unwrap();
            page.after = workers.last().map(|worker| worker.id).or(page.after);
            sizes.push((workers.len(), is_complete));
            found.extend(workers.into_iter().map(|worker| worker.uuid));
        }
        assert_eq!(sizes, expected, "{limit} {bytes}");
        assert_eq!(found, registered);
    }
    let one = harness.store().query_workers(&all, WorkerPage { bytes: 1, ..ALL_WORKERS }).await.unwrap();
    assert_eq!((one.workers.len(), one.is_complete), (1, false), "there is always a way on");
}

pub(crate) async fn idle_worker_is_removed_by_either_stop<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    for op in [ShutdownOp::Graceful, ShutdownOp::Force] {
        let worker = harness.worker(&ann).await;
        assert_eq!(stop(harness, worker.uuid, op).await, Stop::Removed);
        assert!(!is_there(harness, worker).await);
        assert_eq!(stop(harness, worker.uuid, op).await, Stop::Unknown, "again");
    }
    assert_eq!(harness.store().group("ann").await.unwrap().unwrap().worker_count, 0);
}

pub(crate) async fn busy_worker_drains_until_its_last_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuids = [harness.submit_one(&ann).await, harness.submit_one(&ann).await];
    let held = harness.claim(worker, 2).await;
    for _ in 0..2 {
        assert_eq!(stop(harness, worker.uuid, ShutdownOp::Graceful).await, Stop::Marked);
    }
    let record = harness.store().worker(worker.uuid).await.unwrap().unwrap();
    assert_eq!(record.state, WorkerState::GracefulShutdown);
    harness.finish(&held[0]).await;
    assert!(is_there(harness, worker).await, "it still holds a task");
    harness.finish(&held[1]).await;
    assert!(!is_there(harness, worker).await);
    for uuid in uuids {
        let Phase::Ended(ending) = harness.phase(uuid).await else { panic!("it has not ended") };
        assert_eq!(ending.reporter, Some(worker.uuid), "its name outlives its record");
    }
}

pub(crate) async fn forced_stop_requeues_held_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuids = [harness.submit_one(&ann).await, harness.submit_one(&ann).await];
    harness.claim(worker, 2).await;
    assert_eq!(stop(harness, worker.uuid, ShutdownOp::Graceful).await, Stop::Marked);
    assert_eq!(stop(harness, worker.uuid, ShutdownOp::Force).await, Stop::Removed);
    for uuid in uuids {
        assert_eq!(harness.phase(uuid).await, Phase::Ready);
    }
    assert_eq!(harness.losses_in_line().await, 0, "none was lost with its worker");
    assert!(
        harness.store().renew_leases(&[(worker.id, TERMS)], harness.now.into()).await.unwrap() == [worker.id]
    );
}

pub(crate) async fn removal_by_a_user_is_remembered_for_a_time<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let [forced, asked, left] =
        [harness.worker(&ann).await, harness.worker(&ann).await, harness.worker(&ann).await];
    let departure = async |harness: &Harness<B>, worker: RegisteredWorker| {
        harness.store().departure(worker.uuid).await.unwrap()
    };
    harness.submit_one(&ann).await;
    let held = harness.claim(asked, 1).await;
    assert_eq!(stop(harness, asked.uuid, ShutdownOp::Graceful).await, Stop::Marked);
    assert_eq!(departure(harness, asked).await, None, "it is still there");
    harness.finish(&held[0]).await;
    stop(harness, forced.uuid, ShutdownOp::Force).await;
    let back = harness.submit_one(&ann).await;
    harness.claim(left, 1).await;
    assert_eq!(
        harness.store().sign_off(left.uuid, Fate::Returned, harness.now).await.answer(),
        Stop::Removed
    );
    assert_eq!(
        harness.store().sign_off(left.uuid, Fate::Returned, harness.now).await.answer(),
        Stop::Unknown
    );
    assert_eq!(harness.phase(back).await, Phase::Ready);
    assert_eq!(departure(harness, left).await, None, "it may come back");
    for worker in [forced, asked] {
        assert_eq!(departure(harness, worker).await, Some(Departure::Removed));
    }
    assert_eq!(harness.store().delete_departures(harness.now, 10).await.unwrap(), 0);
    harness.pass(SECOND);
    assert_eq!(harness.store().delete_departures(harness.now, 1).await.unwrap(), 1);
    assert_eq!(harness.store().delete_departures(harness.now, 10).await.unwrap(), 1);
    assert_eq!(departure(harness, forced).await, None);
}

pub(crate) async fn ended_lifetime_is_remembered_of_a_lost_worker<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let lifetime = |token_until, harness: &Harness<B>| NewWorker { token_until, ..harness.new_worker(&ann) };
    let short = harness.register(&lifetime(Some(harness.now + LEASE), harness)).await;
    let long = harness.register(&lifetime(Some(harness.now + LEASE + SECOND), harness)).await;
    let stored = harness.store().worker(short.uuid).await.unwrap().unwrap();
    assert_eq!(stored.token_until, Some(harness.now + LEASE));
    harness.pass(LEASE);
    assert_eq!(harness.store().reap(harness.now.into(), 10).await.answer().len(), 2);
    assert_eq!(harness.store().departure(short.uuid).await.unwrap(), Some(Departure::Expired));
    assert_eq!(harness.store().departure(long.uuid).await.unwrap(), None);
}
