//! Workers that fall silent or run on too long: removed, and their tasks given back.

use std::time::Duration;

use futures_util::future::join_all;
use mitosis_domain::explain::Standing;
use mitosis_domain::lease::{LeaseTerms, Moment};
use mitosis_domain::limits::{MAX_LOST_ATTEMPTS, OVERDUE_GRACE, PREPARATION_ALLOWANCE};
use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_protocol::worker::Machine;
use mitosis_protocol::{ArtifactKind, TaskResultMessage, TaskSpec, Timestamp};
use mitosis_store::ops::By;
use mitosis_store::ops::dispatch::{Completed, Holder};
use mitosis_store::ops::reaper::{LeaseLook, LeaseWatch, ReapReason, Reaped};
use mitosis_store::ops::sweeps::Repeat;
use mitosis_store::ops::tasks::{NewTask, TaskChange};
use mitosis_store::ops::workers::{Fate, NewWorker, Stop};
use uuid::Uuid;

use crate::backend::Backend;
use crate::stage::{HOUR, Hand, LEASE, Person, SECOND, Stage, TICK, status};

/// The longest time shorter than this one.
fn just_before(time: Duration) -> Duration {
    time.saturating_sub(TICK)
}

async fn reap<B: Backend>(stage: &Stage<B>) -> Vec<Reaped> {
    stage.store().reap(stage.now.into(), 100).await.unwrap()
}

async fn renew<B: Backend>(stage: &Stage<B>, hands: &[Hand], lease: Duration) {
    let signs: Vec<_> =
        hands.iter().map(|hand| (hand.id, LeaseTerms { missed_after: lease, lease })).collect();
    assert!(stage.store().renew_leases(&signs, stage.now.into()).await.unwrap().is_empty());
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
        let reaped = stage.store().reap(stage.now.into(), 2).await.unwrap();
        sizes.push(reaped.len());
        if reaped.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [2, 2, 1, 0]);
    assert!(stage.store().reap(stage.now.into(), 0).await.unwrap().is_empty());
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

const STANDSTILL: Duration = Duration::from_secs(10);

async fn look<B: Backend>(stage: &Stage<B>) -> LeaseWatch {
    let look = LeaseLook { now: Some(stage.now), standstill: STANDSTILL, at_most: None };
    stage.store().watch_leases(look).await.unwrap()
}

/// As the pass of a coordinator does it.
async fn reap_by_the_lease_clock<B: Backend>(stage: &Stage<B>) -> Vec<Reaped> {
    let watch = look(stage).await;
    let at = Moment { now: stage.now, lease: watch.time() };
    let reaped = stage.store().reap(at, 100).await.unwrap();
    assert!(watch.due || reaped.is_empty(), "{reaped:?} was not said to be due");
    reaped
}

pub(crate) async fn outage_costs_no_worker_its_lease<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    assert_eq!(look(stage).await.skipped, 0, "nothing was there to be watched");
    let hand = stage.hand(&ann).await;
    let uuid = stage.submit_one(&ann).await;
    stage.claim_one(hand).await;
    stage.pass(HOUR * 24);
    stage.restart().await;
    assert!(reap_by_the_lease_clock(stage).await.is_empty(), "neither silent nor overdue");
    let there = stage.store().worker(hand.uuid).await.unwrap().unwrap();
    assert!(there.lost_at > stage.now, "as people see it, too: {}", there.lost_at);
    let mut left = LEASE * 2;
    while !left.is_zero() {
        stage.pass(SECOND);
        left -= SECOND;
        look(stage).await;
    }
    assert_eq!(reap_by_the_lease_clock(stage).await, [silent(hand, &[uuid])], "watched time counts");
}

pub(crate) async fn explanation_tells_leases_by_the_wall_clock<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    look(stage).await;
    let (busy, uuid) = (stage.hand(&ann).await, stage.submit_one(&ann).await);
    stage.claim_one(busy).await;
    let (idle, waiting) = (stage.hand(&ann).await, stage.submit_one(&ann).await);
    stage.pass(HOUR);
    assert!(look(stage).await.skipped > 0);
    let limits = async |hand: Hand| {
        let worker = stage.store().worker(hand.uuid).await.unwrap().unwrap();
        (worker.missed_at, worker.lost_at)
    };
    let standing = async |task| stage.store().facts(task).await.unwrap().unwrap().standing;
    let Standing::Held { holder, .. } = standing(uuid).await else { panic!("it is held") };
    assert_eq!((holder.silent_at, holder.lease_until), limits(busy).await);
    let Standing::Ready { crew, .. } = standing(waiting).await else { panic!("it waits") };
    let (missed_at, lost_at) = limits(idle).await;
    assert_eq!((crew.free_silent_at, crew.free_until), (Some(missed_at), Some(lost_at)));
}

pub(crate) async fn steps_of_the_wall_clock_reap_no_worker<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    look(stage).await;
    let hand = stage.hand(&ann).await;
    for step in [HOUR, HOUR * 24 * 365] {
        stage.pass(step);
        assert!(reap_by_the_lease_clock(stage).await.is_empty());
        stage.now = stage.now - step * 2;
        assert!(reap_by_the_lease_clock(stage).await.is_empty());
        stage.pass(step);
    }
    let before = look(stage).await.time();
    stage.now = stage.now - HOUR;
    stage.restart().await;
    assert_eq!(look(stage).await.time(), before, "the time of leases does not go back with the wall clock");
    // Each break has left some time to reconnect.
    for _ in 0..LEASE.as_secs() * 6 {
        stage.pass(SECOND);
        look(stage).await;
    }
    assert_eq!(reap_by_the_lease_clock(stage).await, [silent(hand, &[])], "a dead one is still found");
}

pub(crate) async fn jump_of_the_clock_is_believed_after_a_while<B: Backend>(stage: &mut Stage<B>) {
    look(stage).await;
    stage.pass(SECOND * 10);
    assert!(look(stage).await.is_settled());
    stage.pass(HOUR * 20);
    assert!(!look(stage).await.is_settled());
    stage.restart().await;
    let mut watched = Duration::ZERO;
    while !look(stage).await.is_settled() {
        stage.pass(STANDSTILL);
        watched += STANDSTILL;
    }
    assert!(watched >= HOUR * 2 && watched < HOUR * 3, "a tenth of the jump: {watched:?}");
    stage.pass(HOUR * 24 * 3_650);
    assert!(!look(stage).await.is_settled());
}

pub(crate) async fn look_obeys_the_bound_of_a_steady_clock<B: Backend>(stage: &mut Stage<B>) {
    let before = look(stage).await.time();
    stage.pass(SECOND * 8);
    let bound = LeaseLook { now: Some(stage.now), standstill: STANDSTILL, at_most: Some(before + SECOND) };
    let watch = stage.store().watch_leases(bound).await.unwrap();
    assert_eq!((watch.time(), watch.skipped), (before + SECOND, 7_000_000));
    stage.restart().await;
    assert_eq!(look(stage).await.time(), before + SECOND, "for all others, too");
}

pub(crate) async fn coordinators_that_look_at_once_set_the_clock_once<B: Backend>(stage: &mut Stage<B>) {
    let before = look(stage).await.time();
    // Each has a connection now, so none waits for another's.
    join_all((0..6).map(|_| look(stage))).await;
    stage.pass(HOUR);
    let watches = join_all((0..6).map(|_| look(stage))).await;
    let skipped: i64 = watches.iter().map(|watch| watch.skipped).sum();
    assert_eq!(skipped, i64::try_from((HOUR + STANDSTILL * 3).as_micros()).unwrap());
    assert!(watches.iter().all(|watch| watch.time() <= before));
}

pub(crate) async fn clock_of_the_database_is_used_where_none_is_given<B: Backend>(stage: &mut Stage<B>) {
    let look = LeaseLook { now: None, standstill: STANDSTILL, at_most: None };
    let first = stage.store().watch_leases(look).await.unwrap();
    let second = stage.store().watch_leases(look).await.unwrap();
    assert!(first.now > Timestamp::parse("2026-01-01T00:00:00Z").unwrap(), "{}", first.now);
    assert!(first.time() <= second.time());
}

pub(crate) async fn missed_workers_are_counted_and_keep_their_tasks<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let terms = LeaseTerms::new(SECOND * 6, LEASE, None);
    look(stage).await;
    let (new, quiet) = (stage.new_worker(&ann), stage.hand(&ann).await);
    stage.store().register_worker(&new, terms, stage.now.into()).await.unwrap();
    stage.submit_one(&ann).await;
    stage.pass(SECOND * 6);
    assert_eq!(look(stage).await.missed, 1, "{quiet:?} has one limit only");
    assert!(reap_by_the_lease_clock(stage).await.is_empty());
    let missed = stage.store().worker(new.uuid).await.unwrap().unwrap();
    assert_eq!((missed.missed_at, missed.lost_at), (stage.now, stage.now + LEASE - SECOND * 6));
}

/// A task of the owner that is claimed by the worker, and its UUID.
async fn running<B: Backend>(stage: &Stage<B>, ann: &Person, hand: Hand, spec: TaskSpec) -> Uuid {
    let new = NewTask { spec, ..stage.task(ann.group) };
    let uuid = stage.submit(ann, &[new]).await[0].uuid;
    assert_eq!(stage.claim_one(hand).await.task.uuid, uuid);
    uuid
}

pub(crate) async fn limit_of_a_task_takes_its_attempt_alone<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    let terms = LeaseTerms::new(SECOND * 10, LEASE, None);
    let spec = |lost_after: u64| TaskSpec {
        lost_after: (lost_after > 0).then(|| SECOND * u32::try_from(lost_after).unwrap()),
        ..stage.task(ann.group).spec
    };
    let plain = running(stage, &ann, hand, spec(0)).await;
    let short = running(stage, &ann, hand, spec(1)).await;
    let longer = running(stage, &ann, hand, spec(20)).await;
    let longest = running(stage, &ann, hand, spec(7_200)).await;
    let idempotent = running(stage, &ann, hand, TaskSpec { idempotent: true, ..spec(0) }).await;
    stage.pass(SECOND);
    stage.store().renew_leases(&[(hand.id, terms)], stage.now.into()).await.unwrap();
    stage.pass(just_before(SECOND * 10));
    assert!(reap(stage).await.is_empty(), "the worker is not missed yet");
    stage.pass(TICK);
    let taken = |tasks: &[Uuid]| Reaped {
        worker: hand.uuid,
        reason: ReapReason::TaskLimit,
        returned: tasks.to_vec(),
    };
    assert_eq!(reap(stage).await, [taken(&[short, idempotent])]);
    assert_eq!(stage.phase(short).await, Phase::Ready);
    assert_eq!(stage.losses_in_line().await, 2, "each has lost an attempt");
    stage.pass(SECOND * 10);
    assert_eq!(reap(stage).await, [taken(&[longer])]);
    stage.pass(LEASE.saturating_sub(SECOND * 20));
    assert_eq!(reap(stage).await, [silent(hand, &[plain, longest])], "no longer than the lease");
}

/// Lets time pass that is watched over.
async fn watched<B: Backend>(stage: &mut Stage<B>, time: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(STANDSTILL);
        left -= step;
        stage.pass(step);
        look(stage).await;
    }
}

pub(crate) async fn limit_of_a_task_is_due_once_its_worker_is_missed<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    look(stage).await;
    let spec = TaskSpec { idempotent: true, ..stage.task(ann.group).spec };
    let uuid = running(stage, &ann, hand, spec).await;
    let terms = LeaseTerms::new(SECOND * 15, LEASE, None);
    stage.store().renew_leases(&[(hand.id, terms)], stage.now.into()).await.unwrap();
    watched(stage, just_before(SECOND * 15)).await;
    assert!(!look(stage).await.due);
    watched(stage, TICK).await;
    assert!(look(stage).await.due);
    let taken = reap_by_the_lease_clock(stage).await;
    assert_eq!(taken.iter().flat_map(|reaped| &reaped.returned).collect::<Vec<_>>(), [&uuid]);
}

pub(crate) async fn overdue_task_is_due_though_its_worker_is_alive<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let hand = stage.hand(&ann).await;
    look(stage).await;
    stage.submit_one(&ann).await;
    let held = stage.claim_one(hand).await;
    renew(stage, &[hand], HOUR * 24).await;
    let timeout = Duration::from_secs(u64::try_from(held.task.timeout_seconds).unwrap());
    watched(stage, just_before(timeout + PREPARATION_ALLOWANCE + OVERDUE_GRACE)).await;
    assert!(!look(stage).await.due);
    watched(stage, TICK).await;
    let watch = look(stage).await;
    assert_eq!((watch.due, watch.missed), (true, 0));
    assert_eq!(reap_by_the_lease_clock(stage).await.len(), 1);
}

pub(crate) async fn change_and_repetition_keep_the_limit_of_a_task<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let limits = "SELECT CAST(count(*) AS BIGINT) FROM task WHERE lost_after = 20000000";
    let spec = TaskSpec { lost_after: Some(SECOND * 20), ..stage.task(ann.group).spec };
    let uuid = stage.submit_one(&ann).await;
    assert_eq!(stage.scalar(limits).await, 0);
    let change = TaskChange { spec: Some(spec), ..TaskChange::default() };
    assert!(stage.store().change_task(By::Site, uuid, &change, stage.now).await.unwrap());
    assert_eq!(stage.scalar(limits).await, 1);
    let change = TaskChange { priority: Some(3), ..TaskChange::default() };
    assert!(stage.store().change_task(By::Site, uuid, &change, stage.now).await.unwrap());
    assert_eq!(stage.scalar(limits).await, 1, "another change leaves it");
    let hand = stage.hand(&ann).await;
    let held = stage.claim_one(hand).await;
    stage.finish(&held).await;
    let again = Repeat { of: uuid, uuid: stage.uuid() };
    stage.store().repeat(ann.user, &[again], true, None, stage.now).await.unwrap();
    assert_eq!(stage.scalar(limits).await, 2);
}

pub(crate) async fn task_is_cancelled_with_the_last_attempt_it_may_lose<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let uuid = stage.submit_one(&ann).await;
    for _ in 0..2 * MAX_LOST_ATTEMPTS {
        let hand = stage.hand(&ann).await;
        stage.claim_one(hand).await;
        stage.store().sign_off(hand.uuid, Fate::Returned, stage.now).await.unwrap();
    }
    for lost in 1..=MAX_LOST_ATTEMPTS {
        assert_eq!(stage.phase(uuid).await, Phase::Ready, "after {} lost attempts", lost - 1);
        let hand = stage.hand(&ann).await;
        stage.claim_one(hand).await;
        match lost % 2 {
            0 => {
                stage.pass(LEASE);
                assert_eq!(reap(stage).await, [silent(hand, &[uuid])]);
            }
            _ => assert_eq!(
                stage.store().sign_off(hand.uuid, Fate::Lost, stage.now).await.unwrap(),
                Stop::Removed
            ),
        }
    }
    let Phase::Ended(ending) = stage.phase(uuid).await else { panic!("it goes on") };
    assert_eq!((ending.end, ending.result.msg), (ExecEnd::Cancelled, Some(TaskResultMessage::WorkersLost)));
}

/// Earlier versions counted without a limit.
pub(crate) async fn returned_attempt_cancels_no_task_whatever_it_lost<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let (uuid, hand) = (stage.submit_one(&ann).await, stage.hand(&ann).await);
    stage.scalar("UPDATE ready SET losses = 9 RETURNING CAST(losses AS BIGINT)").await;
    stage.claim_one(hand).await;
    stage.store().sign_off(hand.uuid, Fate::Returned, stage.now).await.unwrap();
    assert_eq!(stage.phase(uuid).await, Phase::Ready);
}

fn on_machine<B: Backend>(stage: &Stage<B>, owner: &Person, id: &str, boot: &str) -> NewWorker {
    let machine = Machine { id: id.to_owned(), boot: boot.to_owned() };
    NewWorker { machine: Some(machine), ..stage.new_worker(owner) }
}

pub(crate) async fn next_boot_of_a_machine_frees_what_the_last_one_held<B: Backend>(stage: &mut Stage<B>) {
    let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
    let terms = LeaseTerms::new(SECOND * 10, LEASE, None);
    let old = on_machine(stage, &ann, "m", "1");
    let others =
        [on_machine(stage, &ann, "n", "1"), on_machine(stage, &bob, "m", "1"), stage.new_worker(&ann)];
    for new in [&old].into_iter().chain(&others) {
        stage.store().register_worker(new, terms, stage.now.into()).await.unwrap();
    }
    stage.pass(SECOND * 10);
    assert!(reap(stage).await.is_empty(), "before the next boot");
    let next = on_machine(stage, &ann, "m", "2");
    stage.store().register_worker(&next, terms, stage.now.into()).await.unwrap();
    let old_hand = Hand { id: stage.store().worker(old.uuid).await.unwrap().unwrap().id, uuid: old.uuid };
    assert_eq!(reap(stage).await, [silent(old_hand, &[])], "missed, and of the boot before");
}

pub(crate) async fn live_worker_of_a_copied_machine_keeps_its_lease<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let terms = LeaseTerms::new(SECOND * 10, LEASE, None);
    let first = on_machine(stage, &ann, "m", "1");
    let second = on_machine(stage, &ann, "m", "2");
    stage.store().register_worker(&first, terms, stage.now.into()).await.unwrap();
    stage.store().register_worker(&second, terms, stage.now.into()).await.unwrap();
    let id = stage.store().worker(first.uuid).await.unwrap().unwrap().id;
    stage.pass(just_before(SECOND * 10));
    assert!(stage.store().renew_leases(&[(id, terms)], stage.now.into()).await.unwrap().is_empty());
    stage.pass(just_before(LEASE));
    let gone: Vec<Uuid> = reap(stage).await.iter().map(|reaped| reaped.worker).collect();
    assert_eq!(gone, [second.uuid], "the first one has a whole lease again");
}

/// One that lives all the same, on a machine with a copied id, has time to say so.
pub(crate) async fn next_boot_leaves_a_worker_until_it_is_missed<B: Backend>(stage: &mut Stage<B>) {
    let ann = stage.person("ann").await;
    let terms = LeaseTerms::new(SECOND * 10, LEASE, None);
    let old = on_machine(stage, &ann, "m", "1");
    for new in [&old, &on_machine(stage, &ann, "m", "2")] {
        stage.store().register_worker(new, terms, stage.now.into()).await.unwrap();
    }
    let limits = async |stage: &Stage<B>| {
        let worker = stage.store().worker(old.uuid).await.unwrap().unwrap();
        (worker.id, [worker.missed_at, worker.lost_at])
    };
    let (id, both) = limits(stage).await;
    assert_eq!(both, [stage.now + SECOND * 10; 2]);
    stage.pass(just_before(SECOND * 10));
    assert!(reap(stage).await.is_empty());
    stage.store().renew_leases(&[(id, terms)], stage.now.into()).await.unwrap();
    assert_eq!(limits(stage).await.1, [stage.now + SECOND * 10, stage.now + LEASE]);
}
