//! Placement of tasks by what they request and what workers offer.

use std::collections::BTreeMap;
use std::time::Duration;

use mitosis_domain::ids::GroupId;
use mitosis_domain::reservation::RESERVE_AFTER;
use mitosis_protocol::{Cpus, ResourceOffer, ResourceRequest, Role};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Assigned, Assignment, Class, Exchange};
use mitosis_store::ops::sweeps::{Repeat, RepeatMode, Repetition};
use mitosis_store::ops::tasks::{NewTask, TaskChange};
use mitosis_store::ops::workers::NewWorker;
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::{Answer as _, Harness, Person, RegisteredWorker, SECOND, assigned, timeout};

/// A worker with a number of processors.
fn offer(cpus: usize) -> ResourceOffer {
    ResourceOffer {
        cpus: Cpus::whole(cpus),
        memory: 8 << 30,
        gpus: 0,
        gpu_model: None,
        named: BTreeMap::new(),
        tasks: 64,
    }
}

fn cpus(number: &str) -> ResourceRequest {
    ResourceRequest { cpus: number.parse().unwrap(), ..ResourceRequest::default() }
}

async fn worker<B: Backend>(harness: &Harness<B>, owner: &Person, offer: ResourceOffer) -> RegisteredWorker {
    let slots = Some(offer.cpus.thousandths() / 1_000);
    harness.register(&NewWorker { slots, offer: Some(offer), ..harness.new_worker(owner) }).await
}

/// Submits tasks with these requests; returns their UUIDs.
async fn submit<B: Backend>(harness: &Harness<B>, by: &Person, requests: &[ResourceRequest]) -> Vec<Uuid> {
    submit_to(harness, by, by.group, requests).await
}

async fn submit_to<B: Backend>(
    harness: &Harness<B>,
    by: &Person,
    group: GroupId,
    requests: &[ResourceRequest],
) -> Vec<Uuid> {
    let tasks: Vec<NewTask> = requests.iter().map(|request| task(harness, group, request)).collect();
    harness.submit(by, &tasks).await.into_iter().map(|ids| ids.uuid).collect()
}

fn task<B: Backend>(harness: &Harness<B>, group: GroupId, request: &ResourceRequest) -> NewTask {
    let mut task = harness.task(group);
    task.spec.request = request.clone();
    task
}

/// Claims as an agent with room does; returns the tasks and the class of the worker.
async fn claim_with_class<B: Backend>(
    harness: &Harness<B>,
    worker: RegisteredWorker,
    want: usize,
) -> (Vec<Assignment>, Class) {
    let one = Exchange { want, has_room: true, ..harness.nothing(worker) };
    let Assigned::Work(work, class) = harness.exchange_one(one).await.assigned else {
        panic!("it is registered")
    };
    let mut held = Vec::new();
    for work in work {
        held.push(Assignment { task: harness.get(work.uuid).await, lease: work.lease });
    }
    (held, class)
}

async fn claim<B: Backend>(harness: &Harness<B>, worker: RegisteredWorker, want: usize) -> Vec<Assignment> {
    claim_with_class(harness, worker, want).await.0
}

fn uuids(held: &[Assignment]) -> Vec<Uuid> {
    held.iter().map(|held| held.task.uuid).collect()
}

pub(crate) async fn worker_gets_what_it_has_room_for<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let four = worker(harness, &ann, offer(4)).await;
    let requests = ["2.5", "2", "0.5", "1", "1", "0.5"].map(cpus);
    let ids = submit(harness, &ann, &requests).await;
    let held = claim(harness, four, 4).await;
    assert_eq!(uuids(&held), [ids[0], ids[2], ids[3]], "the second does not fit, and lets others pass");
    assert!(claim(harness, four, 0).await.is_empty());
    harness.finish(&held[0]).await;
    assert_eq!(uuids(&claim(harness, four, 2).await), [ids[1], ids[5]]);
    harness.finish(&held[1]).await;
    assert!(claim(harness, four, 0).await.is_empty(), "it wants no task of one processor");
    harness.finish(&held[2]).await;
    assert_eq!(uuids(&claim(harness, four, 1).await), [ids[4]]);
}

pub(crate) async fn every_resource_is_counted<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let named = |units| BTreeMap::from([("lic".to_owned(), units)]);
    let large = ResourceOffer { gpus: 2, gpu_model: Some("A100".into()), named: named(3), ..offer(8) };
    let large = worker(harness, &ann, large).await;
    let memory = ResourceRequest { memory: 5 << 30, ..cpus("1") };
    let gpu = ResourceRequest { gpus: 1, ..cpus("1") };
    let model = ResourceRequest { gpu_model: Some("a100".into()), ..gpu.clone() };
    let other = ResourceRequest { gpu_model: Some("h100".into()), ..gpu.clone() };
    let licences = ResourceRequest { named: named(2), ..cpus("0") };
    let unknown = ResourceRequest { named: BTreeMap::from([("disk".to_owned(), 1)]), ..cpus("0") };
    let requests =
        [&memory, &memory, &other, &gpu, &model, &gpu, &licences, &licences, &unknown].map(Clone::clone);
    let ids = submit(harness, &ann, &requests).await;
    let held = claim(harness, large, 8).await;
    assert_eq!(uuids(&held), [ids[0], ids[3], ids[4], ids[6]]);
    for held in &held {
        harness.finish(held).await;
    }
    assert_eq!(uuids(&claim(harness, large, 8).await), [ids[1], ids[5], ids[7]]);
}

pub(crate) async fn groups_share_a_worker_without_exceeding_it<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let groups = BTreeMap::from([(ann.group, Role::Admin), (raj.group, Role::Write)]);
    let new = NewWorker { slots: Some(5), offer: Some(offer(5)), groups, ..harness.new_worker(&ann) };
    let five = harness.register(&new).await;
    for person in [&ann, &raj] {
        submit(harness, person, &["2", "2", "2"].map(cpus)).await;
        submit(harness, person, &[cpus("1"), cpus("1")]).await;
    }
    let held = claim(harness, five, 5).await;
    let taken: u32 = held.iter().map(|held| held.task.spec.request.cpus.thousandths()).sum();
    assert_eq!(taken, 5_000, "{:?}", uuids(&held));
    let of_ann = held.iter().filter(|held| held.task.group == ann.group).count();
    assert!((1..held.len()).contains(&of_ann), "both have a turn");
}

pub(crate) async fn older_agents_get_only_default_requests<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let older = harness.register(&NewWorker { slots: Some(8), ..harness.new_worker(&ann) }).await;
    let legacy = harness.worker(&ann).await;
    let ids = submit(harness, &ann, &[cpus("64"), cpus("1"), cpus("2")]).await;
    assert_eq!(uuids(&harness.claim(older, 8).await), [ids[1]]);
    let fetched =
        harness.store().claim_or_resume(legacy.id, harness.token(), harness.now.into()).await.answer();
    assert_eq!(uuids(&assigned(fetched)), [ids[0]], "it has one task, whatever that requests");
}

pub(crate) async fn workers_of_different_sizes_wait_by_themselves<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (small, small_too) = (worker(harness, &ann, offer(2)).await, worker(harness, &ann, offer(2)).await);
    let large = worker(harness, &ann, offer(8)).await;
    let without = [small, large].map(|worker| claim_with_class(harness, worker, 1));
    let without: Vec<_> =
        futures_util::future::join_all(without).await.into_iter().map(|(_, class)| class).collect();
    assert_eq!(without[0], without[1], "no task waits that only one of them can run");
    let ids = submit(harness, &ann, &[cpus("9"), cpus("4")]).await;
    let (held, of_small) = claim_with_class(harness, small, 2).await;
    assert!(held.is_empty());
    let (held, of_other) = claim_with_class(harness, small_too, 2).await;
    assert!(held.is_empty());
    assert_eq!(of_small, of_other);
    let (held, of_large) = claim_with_class(harness, large, 8).await;
    assert_eq!(uuids(&held), [ids[1]]);
    assert_ne!(of_small, of_large, "that the small ones got nothing says nothing about it");
}

pub(crate) async fn starved_task_gets_a_worker_reserved<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let four = worker(harness, &ann, offer(4)).await;
    submit(harness, &ann, &["1", "1"].map(cpus)).await;
    let small = claim(harness, four, 4).await;
    assert_eq!(small.len(), 2);
    let large = submit(harness, &ann, &[cpus("3"), cpus("3")]).await;
    let more = submit(harness, &ann, &["1", "1", "1", "1"].map(cpus)).await;
    let reserve = async |harness: &Harness<B>| harness.store().reserve_workers(harness.now).await.answer();
    assert_eq!(reserve(harness).await, 0, "it has not waited long enough");
    let next = claim(harness, four, 1).await;
    assert_eq!(uuids(&next), more[..1]);
    harness.pass(RESERVE_AFTER);
    assert_eq!(reserve(harness).await, 1);
    assert_eq!(reserve(harness).await, 1, "it stays");
    harness.finish(&next[0]).await;
    harness.finish(&small[0]).await;
    assert_eq!(uuids(&claim(harness, four, 3).await), large[..1], "what is free is kept for it");
    assert_eq!(harness.scalar("SELECT count(*) FROM reservation").await, 0, "it is used");
    harness.finish(&small[1]).await;
    assert_eq!(uuids(&claim(harness, four, 1).await), more[1..2]);
    assert_eq!(reserve(harness).await, 1, "the next one waits as long");
    let cancelled = mitosis_store::ops::tasks::CancelSelection::Ready(vec![large[1]]);
    harness.store().cancel(Actor::System, &cancelled, harness.now).await.answer();
    let changed = harness.store().reserve_workers(harness.now).await.unwrap();
    let (left, effects) = changed.into_parts();
    assert_eq!((left, effects.ready), (0, true), "others may use what was kept free");
}

pub(crate) async fn nothing_is_reserved_for_what_no_worker_can_run<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    worker(harness, &ann, offer(4)).await;
    submit(harness, &ann, &[cpus("5")]).await;
    harness.pass(RESERVE_AFTER);
    assert_eq!(harness.store().reserve_workers(harness.now).await.answer(), 0);
    submit(harness, &ann, &[cpus("4")]).await;
    harness.pass(RESERVE_AFTER);
    assert_eq!(
        harness.store().reserve_workers(harness.now).await.answer(),
        1,
        "the impossible one hides no other"
    );
}

pub(crate) async fn tasks_end_before_their_worker<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let ends_at = Some(harness.now + Duration::from_secs(100));
    let new = NewWorker { slots: Some(8), offer: Some(offer(8)), ends_at, ..harness.new_worker(&ann) };
    let short_lived = harness.register(&new).await;
    let group = ann.group;
    let timed =
        |time| ResourceRequest { time: Some(Duration::from_secs(time)), ..ResourceRequest::default() };
    let mut tasks = [
        harness.task(group),
        harness.task(group),
        task(harness, group, &timed(50)),
        task(harness, group, &timed(101)),
    ];
    tasks[1].timeout = timeout(100);
    let ids: Vec<Uuid> = harness.submit(&ann, &tasks).await.into_iter().map(|ids| ids.uuid).collect();
    assert_eq!(uuids(&claim(harness, short_lived, 8).await), [ids[1], ids[2]]);
    let mut late = harness.task(group);
    late.timeout = timeout(100);
    harness.submit(&ann, &[late]).await;
    harness.pass(SECOND);
    assert!(claim(harness, short_lived, 8).await.is_empty());
    let unlimited = worker(harness, &ann, offer(8)).await;
    assert_eq!(claim(harness, unlimited, 8).await.len(), 3);
}

pub(crate) async fn changed_and_repeated_tasks_keep_their_request<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let four = worker(harness, &ann, offer(4)).await;
    let ids = submit(harness, &ann, &[cpus("8")]).await;
    assert!(claim(harness, four, 4).await.is_empty());
    let mut spec = harness.get(ids[0]).await.spec;
    spec.request = cpus("3");
    let change = TaskChange { spec: Some(spec), ..TaskChange::default() };
    assert!(harness.store().change_task(Actor::System, ids[0], &change, harness.now).await.answer());
    let held = claim(harness, four, 4).await;
    assert_eq!(uuids(&held), ids);
    harness.finish(&held[0]).await;
    harness.let_in(raj.user, ann.group).await;
    let repeat = Repeat { of: ids[0], uuid: harness.uuid() };
    let store = harness.store();
    let repeated = store.repeat(raj.user, &[repeat], RepeatMode::Again, None, harness.now).await;
    assert!(matches!(repeated.answer(), Repetition::Accepted(tasks) if tasks.len() == 1));
    submit(harness, &ann, &[cpus("2")]).await;
    assert_eq!(claim(harness, four, 4).await.len(), 1, "three and two do not fit together");
}
