//! Silent workers and overdue tasks.

use std::time::Duration;

use futures_util::future::join_all;
use mitosis_domain::explain::Standing;
use mitosis_domain::lease::{LeaseTerms, Moment};
use mitosis_domain::limits::{MAX_LOST_ATTEMPTS, OVERDUE_GRACE, PREPARATION_ALLOWANCE};
use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_protocol::worker::Machine;
use mitosis_protocol::{ArtifactKind, Epoch, TaskResultMessage, TaskSpec, Timestamp};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Completed, Holder};
use mitosis_store::ops::reaper::{LeaseObservation, LeaseStatus, ReapReason, Reaped};
use mitosis_store::ops::sweeps::{Repeat, RepeatMode};
use mitosis_store::ops::tasks::{NewTask, TaskChange};
use mitosis_store::ops::workers::{Fate, NewWorker, Stop};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{HOUR, Harness, LEASE, Person, RegisteredWorker, SECOND, TICK, status};

/// The longest time shorter than this one.
fn just_before(time: Duration) -> Duration {
    time.saturating_sub(TICK)
}

async fn reap<B: Backend>(harness: &Harness<B>) -> Vec<Reaped> {
    harness.store().reap(harness.now.into(), 100).await.answer()
}

async fn renew<B: Backend>(harness: &Harness<B>, workers: &[RegisteredWorker], lease: Duration) {
    let signs: Vec<_> =
        workers.iter().map(|worker| (worker.id, LeaseTerms { missed_after: lease, lease })).collect();
    assert!(harness.store().renew_leases(&signs, harness.now.into()).await.unwrap().is_empty());
}

fn silent(worker: RegisteredWorker, returned: &[Uuid]) -> Reaped {
    Reaped { worker: worker.uuid, reason: ReapReason::Silent, returned: returned.to_vec() }
}

pub(crate) async fn silent_worker_is_removed_at_the_end_of_its_lease<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    harness.claim_one(worker).await;
    harness.pass(just_before(LEASE));
    assert!(reap(harness).await.is_empty());
    harness.pass(TICK);
    assert_eq!(reap(harness).await, [silent(worker, &[uuid])]);
    assert_eq!(harness.phase(uuid).await, Phase::Ready);
    assert_eq!(harness.get(uuid).await.updated_at, harness.now);
    assert!(harness.store().worker(worker.uuid).await.unwrap().is_none());
    assert!(reap(harness).await.is_empty(), "again");
}

pub(crate) async fn heartbeat_keeps_a_worker<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (alive, dead) = (harness.worker(&ann).await, harness.worker(&ann).await);
    harness.pass(just_before(LEASE));
    renew(harness, &[alive], LEASE).await;
    harness.pass(TICK);
    assert_eq!(reap(harness).await, [silent(dead, &[])]);
    harness.pass(just_before(just_before(LEASE)));
    assert!(reap(harness).await.is_empty());
    harness.pass(TICK);
    assert_eq!(reap(harness).await, [silent(alive, &[])]);
}

pub(crate) async fn requeued_tasks_keep_their_position<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let first = [1, 0].map(|priority| NewTask { priority, ..harness.task(ann.group) });
    let first: Vec<Uuid> = harness.submit(&ann, &first).await.iter().map(|ids| ids.uuid).collect();
    assert_eq!(harness.claim(worker, 2).await.len(), 2);
    harness.pass(SECOND);
    let later = [1, 0].map(|priority| NewTask { priority, ..harness.task(ann.group) });
    let later: Vec<Uuid> = harness.submit(&ann, &later).await.iter().map(|ids| ids.uuid).collect();
    harness.pass(LEASE);
    reap(harness).await;
    let next = harness.worker(&ann).await;
    let held = harness.claim(next, 4).await;
    let order: Vec<Uuid> = held.iter().map(|held| held.task.uuid).collect();
    assert_eq!(order, [first[0], later[0], first[1], later[1]]);
    let epochs: Vec<i64> = held.iter().map(|held| held.lease.epoch.0).collect();
    assert_eq!(epochs, [2, 1, 2, 1]);
}

pub(crate) async fn lost_attempts_are_counted_on_the_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let uuid = harness.submit_one(&ann).await;
    for losses in 1..=3 {
        let worker = harness.worker(&ann).await;
        assert_eq!(harness.claim_one(worker).await.task.uuid, uuid);
        harness.pass(LEASE);
        reap(harness).await;
        assert_eq!(harness.scalar("SELECT CAST(losses AS BIGINT) FROM ready").await, losses);
    }
}

pub(crate) async fn lost_attempt_releases_its_storage<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit_one(&ann).await;
    let holder = Holder::Lease(harness.claim_one(worker).await.lease);
    harness.store().reserve_attempt_artifact(holder, ArtifactKind::Result, 500, harness.now).await.answer();
    assert_eq!(harness.used("ann").await, 500);
    harness.pass(LEASE);
    reap(harness).await;
    assert_eq!(harness.used("ann").await, 0);
    assert_eq!(harness.store().garbage(10, harness.now).await.unwrap().len(), 1);
}

pub(crate) async fn worker_with_an_overdue_task_is_removed<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    let timeout = Duration::from(held.task.timeout);
    harness.pass(just_before(timeout + PREPARATION_ALLOWANCE + OVERDUE_GRACE));
    renew(harness, &[worker], HOUR).await;
    assert!(reap(harness).await.is_empty());
    harness.pass(TICK);
    let overdue = Reaped { worker: worker.uuid, reason: ReapReason::Overdue, returned: vec![uuid] };
    assert_eq!(reap(harness).await, [overdue]);
    assert_eq!(harness.phase(uuid).await, Phase::Ready);
}

pub(crate) async fn reported_task_is_not_overdue<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    harness.submit_one(&ann).await;
    let holder = Holder::Lease(harness.claim_one(worker).await.lease);
    harness.report(holder, ExecEnd::Finished).await;
    harness.pass(HOUR * 24);
    renew(harness, &[worker], HOUR).await;
    assert!(reap(harness).await.is_empty());
    assert_eq!(harness.commit(holder, status(0)).await, Completed::Committed);
}

pub(crate) async fn silent_and_overdue_worker_is_removed_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuids: Vec<Uuid> = harness
        .submit(&ann, &[(); 3].map(|()| harness.task(ann.group)))
        .await
        .iter()
        .map(|ids| ids.uuid)
        .collect();
    harness.claim(worker, 3).await;
    harness.pass(HOUR * 24);
    assert_eq!(reap(harness).await, [silent(worker, &uuids)]);
}

pub(crate) async fn reap_respects_its_limit<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let mut workers = Vec::new();
    for _ in 0..5 {
        workers.push(harness.worker(&ann).await);
        harness.submit_one(&ann).await;
        harness.claim_one(workers[workers.len() - 1]).await;
    }
    harness.pass(HOUR * 24);
    renew(harness, &workers[3..], HOUR).await;
    let mut sizes = Vec::new();
    loop {
        let reaped = harness.store().reap(harness.now.into(), 2).await.answer();
        sizes.push(reaped.len());
        if reaped.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [2, 2, 1, 0]);
    assert!(harness.store().reap(harness.now.into(), 0).await.answer().is_empty());
}

pub(crate) async fn concurrent_reaps_requeue_each_task_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    for _ in 0..10 {
        let worker = harness.worker(&ann).await;
        harness.submit_one(&ann).await;
        harness.claim_one(worker).await;
    }
    harness.pass(LEASE);
    let reaped = join_all((0..6).map(|_| reap(harness))).await.concat();
    assert_eq!(reaped.len(), 10, "{reaped:?}");
    assert_eq!(reaped.iter().map(|reaped| reaped.returned.len()).sum::<usize>(), 10);
    let next = harness.worker(&ann).await;
    let held = harness.claim(next, 20).await;
    assert_eq!(held.len(), 10);
    assert!(held.iter().all(|held| held.lease.epoch == Epoch(2)));
}

const STANDSTILL: Duration = Duration::from_secs(10);

async fn look<B: Backend>(harness: &Harness<B>) -> LeaseStatus {
    let look = LeaseObservation { now: Some(harness.now), standstill: STANDSTILL, at_most: None };
    harness.store().monitor_leases(look).await.unwrap()
}

/// Observes the leases as the pass of a coordinator does.
async fn reap_by_the_lease_clock<B: Backend>(harness: &Harness<B>) -> Vec<Reaped> {
    let watch = look(harness).await;
    let at = Moment { now: harness.now, lease: watch.time() };
    let reaped = harness.store().reap(at, 100).await.answer();
    assert!(watch.due || reaped.is_empty(), "{reaped:?} was not said to be due");
    reaped
}

pub(crate) async fn outage_ends_no_lease<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    assert_eq!(look(harness).await.skipped, 0, "nothing was there to be watched");
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    harness.claim_one(worker).await;
    harness.pass(HOUR * 24);
    harness.restart().await;
    assert!(reap_by_the_lease_clock(harness).await.is_empty(), "neither silent nor overdue");
    let there = harness.store().worker(worker.uuid).await.unwrap().unwrap();
    assert!(there.lost_at > harness.now, "as people see it, too: {}", there.lost_at);
    let mut left = LEASE * 2;
    while !left.is_zero() {
        harness.pass(SECOND);
        left -= SECOND;
        look(harness).await;
    }
    assert_eq!(reap_by_the_lease_clock(harness).await, [silent(worker, &[uuid])], "watched time counts");
}

pub(crate) async fn explanation_shows_leases_on_the_wall_clock<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    look(harness).await;
    let (busy, uuid) = (harness.worker(&ann).await, harness.submit_one(&ann).await);
    harness.claim_one(busy).await;
    let (idle, waiting) = (harness.worker(&ann).await, harness.submit_one(&ann).await);
    harness.pass(HOUR);
    assert!(look(harness).await.skipped > 0);
    let limits = async |worker: RegisteredWorker| {
        let worker = harness.store().worker(worker.uuid).await.unwrap().unwrap();
        (worker.missed_at, worker.lost_at)
    };
    let standing = async |task| harness.store().facts(task).await.unwrap().unwrap().standing;
    let Standing::Held { holder, .. } = standing(uuid).await else { panic!("it is held") };
    assert_eq!((holder.silent_at, holder.lease_until), limits(busy).await);
    let Standing::Ready { workers, .. } = standing(waiting).await else { panic!("it waits") };
    let (missed_at, lost_at) = limits(idle).await;
    assert_eq!((workers.free_silent_at, workers.free_until), (Some(missed_at), Some(lost_at)));
}

pub(crate) async fn wall_clock_steps_reap_no_worker<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    look(harness).await;
    let worker = harness.worker(&ann).await;
    for step in [HOUR, HOUR * 24 * 365] {
        harness.pass(step);
        assert!(reap_by_the_lease_clock(harness).await.is_empty());
        harness.now = harness.now - step * 2;
        assert!(reap_by_the_lease_clock(harness).await.is_empty());
        harness.pass(step);
    }
    let before = look(harness).await.time();
    harness.now = harness.now - HOUR;
    harness.restart().await;
    assert_eq!(look(harness).await.time(), before, "the time of leases does not go back with the wall clock");
    // Each interruption has left some time to reconnect.
    for _ in 0..LEASE.as_secs() * 6 {
        harness.pass(SECOND);
        look(harness).await;
    }
    assert_eq!(reap_by_the_lease_clock(harness).await, [silent(worker, &[])], "a dead one is still found");
}

pub(crate) async fn clock_is_settled_some_time_after_a_jump<B: Backend>(harness: &mut Harness<B>) {
    look(harness).await;
    harness.pass(SECOND * 10);
    assert!(look(harness).await.is_settled());
    harness.pass(HOUR * 20);
    assert!(!look(harness).await.is_settled());
    harness.restart().await;
    let mut watched = Duration::ZERO;
    while !look(harness).await.is_settled() {
        harness.pass(STANDSTILL);
        watched += STANDSTILL;
    }
    assert!(watched >= HOUR * 2 && watched < HOUR * 3, "a tenth of the jump: {watched:?}");
    harness.pass(HOUR * 24 * 3_650);
    assert!(!look(harness).await.is_settled());
}

pub(crate) async fn observation_respects_the_bound_of_a_steady_clock<B: Backend>(harness: &mut Harness<B>) {
    let before = look(harness).await.time();
    harness.pass(SECOND * 8);
    let bound =
        LeaseObservation { now: Some(harness.now), standstill: STANDSTILL, at_most: Some(before + SECOND) };
    let watch = harness.store().monitor_leases(bound).await.unwrap();
    assert_eq!((watch.time(), watch.skipped), (before + SECOND, 7_000_000));
    harness.restart().await;
    assert_eq!(look(harness).await.time(), before + SECOND, "for all others, too");
}

pub(crate) async fn concurrent_observations_set_the_clock_once<B: Backend>(harness: &mut Harness<B>) {
    let before = look(harness).await.time();
    // Each operation has a connection now, so none waits for another's.
    join_all((0..6).map(|_| look(harness))).await;
    harness.pass(HOUR);
    let watches = join_all((0..6).map(|_| look(harness))).await;
    let skipped: i64 = watches.iter().map(|watch| watch.skipped).sum();
    assert_eq!(skipped, i64::try_from((HOUR + STANDSTILL * 3).as_micros()).unwrap());
    assert!(watches.iter().all(|watch| watch.time() <= before));
}

pub(crate) async fn clock_of_the_database_is_the_default<B: Backend>(harness: &mut Harness<B>) {
    let look = LeaseObservation { now: None, standstill: STANDSTILL, at_most: None };
    let first = harness.store().monitor_leases(look).await.unwrap();
    let second = harness.store().monitor_leases(look).await.unwrap();
    assert!(first.now > Timestamp::parse("2026-01-01T00:00:00Z").unwrap(), "{}", first.now);
    assert!(first.time() <= second.time());
}

pub(crate) async fn missed_workers_are_counted_and_keep_their_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let terms = LeaseTerms::new(SECOND * 6, LEASE, None);
    look(harness).await;
    let (new, quiet) = (harness.new_worker(&ann), harness.worker(&ann).await);
    harness.store().register_worker(&new, terms, harness.now.into()).await.unwrap();
    harness.submit_one(&ann).await;
    harness.pass(SECOND * 6);
    assert_eq!(look(harness).await.missed, 1, "{quiet:?} has one limit only");
    assert!(reap_by_the_lease_clock(harness).await.is_empty());
    let missed = harness.store().worker(new.uuid).await.unwrap().unwrap();
    assert_eq!((missed.missed_at, missed.lost_at), (harness.now, harness.now + LEASE - SECOND * 6));
}

/// A task of the owner that is claimed by the worker, and its UUID.
async fn running<B: Backend>(
    harness: &Harness<B>,
    ann: &Person,
    worker: RegisteredWorker,
    spec: TaskSpec,
) -> Uuid {
    let new = NewTask { spec, ..harness.task(ann.group) };
    let uuid = harness.submit(ann, &[new]).await[0].uuid;
    assert_eq!(harness.claim_one(worker).await.task.uuid, uuid);
    uuid
}

pub(crate) async fn limit_of_a_task_reaps_its_attempt_alone<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let terms = LeaseTerms::new(SECOND * 10, LEASE, None);
    let spec = |lost_after: u64| TaskSpec {
        lost_after: (lost_after > 0).then(|| SECOND * u32::try_from(lost_after).unwrap()),
        ..harness.task(ann.group).spec
    };
    let plain = running(harness, &ann, worker, spec(0)).await;
    let short = running(harness, &ann, worker, spec(1)).await;
    let longer = running(harness, &ann, worker, spec(20)).await;
    let longest = running(harness, &ann, worker, spec(7_200)).await;
    let idempotent = running(harness, &ann, worker, TaskSpec { idempotent: true, ..spec(0) }).await;
    harness.pass(SECOND);
    harness.store().renew_leases(&[(worker.id, terms)], harness.now.into()).await.unwrap();
    harness.pass(just_before(SECOND * 10));
    assert!(reap(harness).await.is_empty(), "the worker is not missed yet");
    harness.pass(TICK);
    let taken = |tasks: &[Uuid]| Reaped {
        worker: worker.uuid,
        reason: ReapReason::TaskLimit,
        returned: tasks.to_vec(),
    };
    assert_eq!(reap(harness).await, [taken(&[short, idempotent])]);
    assert_eq!(harness.phase(short).await, Phase::Ready);
    assert_eq!(harness.losses_in_line().await, 2, "each has lost an attempt");
    harness.pass(SECOND * 10);
    assert_eq!(reap(harness).await, [taken(&[longer])]);
    harness.pass(LEASE.saturating_sub(SECOND * 20));
    assert_eq!(reap(harness).await, [silent(worker, &[plain, longest])], "no longer than the lease");
}

/// Lets monitored time pass.
async fn watched<B: Backend>(harness: &mut Harness<B>, time: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(STANDSTILL);
        left -= step;
        harness.pass(step);
        look(harness).await;
    }
}

pub(crate) async fn limit_of_a_task_is_due_once_its_worker_is_missed<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    look(harness).await;
    let spec = TaskSpec { idempotent: true, ..harness.task(ann.group).spec };
    let uuid = running(harness, &ann, worker, spec).await;
    let terms = LeaseTerms::new(SECOND * 15, LEASE, None);
    harness.store().renew_leases(&[(worker.id, terms)], harness.now.into()).await.unwrap();
    watched(harness, just_before(SECOND * 15)).await;
    assert!(!look(harness).await.due);
    watched(harness, TICK).await;
    assert!(look(harness).await.due);
    let taken = reap_by_the_lease_clock(harness).await;
    assert_eq!(taken.iter().flat_map(|reaped| &reaped.returned).collect::<Vec<_>>(), [&uuid]);
}

pub(crate) async fn overdue_task_of_a_live_worker_is_due<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    look(harness).await;
    harness.submit_one(&ann).await;
    let held = harness.claim_one(worker).await;
    renew(harness, &[worker], HOUR * 24).await;
    let timeout = Duration::from(held.task.timeout);
    watched(harness, just_before(timeout + PREPARATION_ALLOWANCE + OVERDUE_GRACE)).await;
    assert!(!look(harness).await.due);
    watched(harness, TICK).await;
    let watch = look(harness).await;
    assert_eq!((watch.due, watch.missed), (true, 0));
    assert_eq!(reap_by_the_lease_clock(harness).await.len(), 1);
}

pub(crate) async fn change_and_repetition_keep_the_limit_of_a_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let limits = "SELECT CAST(count(*) AS BIGINT) FROM task WHERE lost_after = 20000000";
    let spec = TaskSpec { lost_after: Some(SECOND * 20), ..harness.task(ann.group).spec };
    let uuid = harness.submit_one(&ann).await;
    assert_eq!(harness.scalar(limits).await, 0);
    let change = TaskChange { spec: Some(spec), ..TaskChange::default() };
    assert!(harness.store().change_task(Actor::System, uuid, &change, harness.now).await.answer());
    assert_eq!(harness.scalar(limits).await, 1);
    let change = TaskChange { priority: Some(3), ..TaskChange::default() };
    assert!(harness.store().change_task(Actor::System, uuid, &change, harness.now).await.answer());
    assert_eq!(harness.scalar(limits).await, 1, "another change leaves it");
    let worker = harness.worker(&ann).await;
    let held = harness.claim_one(worker).await;
    harness.finish(&held).await;
    let again = Repeat { of: uuid, uuid: harness.uuid() };
    harness.store().repeat(ann.user, &[again], RepeatMode::Again, None, harness.now).await.answer();
    assert_eq!(harness.scalar(limits).await, 2);
}

pub(crate) async fn task_is_cancelled_with_its_fifth_lost_attempt<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let uuid = harness.submit_one(&ann).await;
    for _ in 0..2 * MAX_LOST_ATTEMPTS {
        let worker = harness.worker(&ann).await;
        harness.claim_one(worker).await;
        harness.store().sign_off(worker.uuid, Fate::Returned, harness.now).await.answer();
    }
    for lost in 1..=MAX_LOST_ATTEMPTS {
        assert_eq!(harness.phase(uuid).await, Phase::Ready, "after {} lost attempts", lost - 1);
        let worker = harness.worker(&ann).await;
        harness.claim_one(worker).await;
        match lost % 2 {
            0 => {
                harness.pass(LEASE);
                assert_eq!(reap(harness).await, [silent(worker, &[uuid])]);
            }
            _ => assert_eq!(
                harness.store().sign_off(worker.uuid, Fate::WorkerLost, harness.now).await.answer(),
                Stop::Removed
            ),
        }
    }
    let Phase::Ended(ending) = harness.phase(uuid).await else { panic!("it has not ended") };
    assert_eq!((ending.end, ending.result.msg), (ExecEnd::Cancelled, Some(TaskResultMessage::WorkersLost)));
}

/// Earlier versions counted losses without a limit.
pub(crate) async fn returned_attempt_never_cancels_a_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (uuid, worker) = (harness.submit_one(&ann).await, harness.worker(&ann).await);
    harness.scalar("UPDATE ready SET losses = 9 RETURNING CAST(losses AS BIGINT)").await;
    harness.claim_one(worker).await;
    harness.store().sign_off(worker.uuid, Fate::Returned, harness.now).await.answer();
    assert_eq!(harness.phase(uuid).await, Phase::Ready);
}

fn on_machine<B: Backend>(harness: &Harness<B>, owner: &Person, id: &str, boot: &str) -> NewWorker {
    let machine = Machine { id: id.to_owned(), boot: boot.to_owned() };
    NewWorker { machine: Some(machine), ..harness.new_worker(owner) }
}

pub(crate) async fn next_boot_of_a_machine_requeues_tasks_of_the_last<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let terms = LeaseTerms::new(SECOND * 10, LEASE, None);
    let old = on_machine(harness, &ann, "m", "1");
    let others =
        [on_machine(harness, &ann, "n", "1"), on_machine(harness, &bob, "m", "1"), harness.new_worker(&ann)];
    for new in [&old].into_iter().chain(&others) {
        harness.store().register_worker(new, terms, harness.now.into()).await.unwrap();
    }
    harness.pass(SECOND * 10);
    assert!(reap(harness).await.is_empty(), "before the next boot");
    let next = on_machine(harness, &ann, "m", "2");
    harness.store().register_worker(&next, terms, harness.now.into()).await.unwrap();
    let old_hand =
        RegisteredWorker { id: harness.store().worker(old.uuid).await.unwrap().unwrap().id, uuid: old.uuid };
    assert_eq!(reap(harness).await, [silent(old_hand, &[])], "missed, and of the boot before");
}

pub(crate) async fn live_worker_of_a_copied_machine_keeps_its_lease<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let terms = LeaseTerms::new(SECOND * 10, LEASE, None);
    let first = on_machine(harness, &ann, "m", "1");
    let second = on_machine(harness, &ann, "m", "2");
    harness.store().register_worker(&first, terms, harness.now.into()).await.unwrap();
    harness.store().register_worker(&second, terms, harness.now.into()).await.unwrap();
    let id = harness.store().worker(first.uuid).await.unwrap().unwrap().id;
    harness.pass(just_before(SECOND * 10));
    assert!(harness.store().renew_leases(&[(id, terms)], harness.now.into()).await.unwrap().is_empty());
    harness.pass(just_before(LEASE));
    let gone: Vec<Uuid> = reap(harness).await.iter().map(|reaped| reaped.worker).collect();
    assert_eq!(gone, [second.uuid], "the first one has a whole lease again");
}

/// A worker that is alive, on a machine with a copied id, has time to renew its lease.
pub(crate) async fn next_boot_leaves_a_worker_until_it_is_missed<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let terms = LeaseTerms::new(SECOND * 10, LEASE, None);
    let old = on_machine(harness, &ann, "m", "1");
    for new in [&old, &on_machine(harness, &ann, "m", "2")] {
        harness.store().register_worker(new, terms, harness.now.into()).await.unwrap();
    }
    let limits = async |harness: &Harness<B>| {
        let worker = harness.store().worker(old.uuid).await.unwrap().unwrap();
        (worker.id, [worker.missed_at, worker.lost_at])
    };
    let (id, both) = limits(harness).await;
    assert_eq!(both, [harness.now + SECOND * 10; 2]);
    harness.pass(just_before(SECOND * 10));
    assert!(reap(harness).await.is_empty());
    harness.store().renew_leases(&[(id, terms)], harness.now.into()).await.unwrap();
    assert_eq!(limits(harness).await.1, [harness.now + SECOND * 10, harness.now + LEASE]);
}
