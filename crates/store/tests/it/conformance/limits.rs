//! Named limits, the order of the members of a group, and bounds of priorities.

use futures_util::future::join_all;
use mitosis_domain::explain::Standing;
use mitosis_domain::ids::{GroupId, JobId};
use mitosis_protocol::Role;
use mitosis_protocol::job::{JobChange, TaskCondition};
use mitosis_protocol::limit::{LimitInfo, LimitUse};
use mitosis_store::ops::dispatch::{Assignment, Completion, Ended, Exchange, Holder};
use mitosis_store::ops::jobs::{JobSubmission, JobTasks, NewJob, Refusal};
use mitosis_store::ops::limits::LimitRemoval;
use mitosis_store::ops::sweeps::{Repeat, RepeatMode, Repetition};
use mitosis_store::ops::tasks::{NewTask, TaskChange};
use mitosis_store::ops::workers::{Fate, NewWorker};
use mitosis_store::ops::{Actor, Administered};
use uuid::Uuid;

use super::jobs;
use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{HOUR, Harness, Person, SECOND, name, status, tag_set};

/// A job whose tasks are all written, each of which uses limits.
fn job_using<B: Backend>(harness: &Harness<B>, owner: &Person, size: usize, uses: &[(&str, u64)]) -> NewJob {
    let limit = |(name, uses): &(&str, u64)| LimitUse { name: (*name).to_owned(), uses: *uses };
    let limits = uses.iter().map(limit).collect();
    NewJob { limits, ..jobs::new_job(harness, owner, size as u64, size) }
}

async fn submit<B: Backend>(harness: &Harness<B>, by: &Person, job: NewJob) -> Result<JobId, Refusal> {
    match harness.store().submit_jobs(by.user, &[job], None, harness.now).await.answer() {
        JobSubmission::Accepted(ids) => Ok(ids[0]),
        JobSubmission::Refused(refusal) => Err(refusal),
        other => panic!("unexpected submission: {other:?}"),
    }
}

async fn set<B: Backend>(harness: &Harness<B>, by: &Person, limit: &str, value: u64) {
    let (by, group) = (Actor::User(by.user), by.group);
    assert!(harness.store().set_limit(by, group, &name(limit), value, harness.now).await.answer());
}

/// The limits of a group.
async fn limits<B: Backend>(harness: &Harness<B>, group: GroupId) -> Vec<LimitInfo> {
    harness.store().limits(group).await.unwrap()
}

/// The jobs of the tasks.
async fn jobs_of<B: Backend>(harness: &Harness<B>, held: &[Assignment]) -> Vec<JobId> {
    let mut jobs = Vec::with_capacity(held.len());
    for held in held {
        let job = format!("SELECT job_id FROM task WHERE id = {}", held.lease.task.0);
        jobs.push(JobId(harness.scalar(&job).await));
    }
    jobs
}

pub(crate) async fn jobs_share_a_limit<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    set(harness, &ann, "licence", 3).await;
    let large = submit(harness, &ann, job_using(harness, &ann, 3, &[("licence", 2)])).await.unwrap();
    let small = submit(harness, &ann, job_using(harness, &ann, 3, &[("licence", 1)])).await.unwrap();
    let free = submit(harness, &ann, job_using(harness, &ann, 2, &[])).await.unwrap();
    let held = harness.claim(worker, 9).await;
    assert_eq!(jobs_of(harness, &held).await, [large, small, free, free]);
    let used = LimitInfo { name: "licence".into(), value: 3, in_use: 3, jobs: vec![large.0, small.0] };
    assert_eq!(limits(harness, ann.group).await, [used]);
    assert!(harness.claim(worker, 9).await.is_empty());
    harness.finish(&held[1]).await;
    let next = harness.claim(worker, 9).await;
    assert_eq!(jobs_of(harness, &next).await, [small], "one of the large ones does not fit");
    harness.finish(&held[0]).await;
    assert_eq!(jobs_of(harness, &harness.claim(worker, 9).await).await, [large]);
}

pub(crate) async fn larger_priority_uses_a_limit_first<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    set(harness, &ann, "licence", 2).await;
    let early = submit(harness, &ann, job_using(harness, &ann, 2, &[("licence", 1)])).await.unwrap();
    let late = submit(harness, &ann, job_using(harness, &ann, 1, &[("licence", 1)])).await.unwrap();
    let change = JobChange { priority: Some(1), ..JobChange::default() };
    assert!(harness.store().change_job(Actor::System, late, &change, harness.now).await.answer());
    assert_eq!(jobs_of(harness, &harness.claim(worker, 9).await).await, [late, early]);
}

pub(crate) async fn lowered_limit_starts_nothing_until_it_fits<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    set(harness, &ann, "licence", 3).await;
    submit(harness, &ann, job_using(harness, &ann, 9, &[("licence", 1)])).await.unwrap();
    let held = harness.claim(worker, 9).await;
    set(harness, &ann, "licence", 1).await;
    harness.finish(&held[0]).await;
    harness.finish(&held[1]).await;
    assert!(harness.claim(worker, 9).await.is_empty(), "one of one is in use");
    harness.finish(&held[2]).await;
    let one = harness.claim(worker, 9).await;
    assert_eq!(one.len(), 1);
    set(harness, &ann, "licence", 0).await;
    harness.finish(&one[0]).await;
    assert!(harness.claim(worker, 9).await.is_empty());
    set(harness, &ann, "licence", 2).await;
    assert_eq!(harness.claim(worker, 9).await.len(), 2);
}

pub(crate) async fn limits_are_checked_at_submission<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    set(harness, &ann, "licence", 2).await;
    set(harness, &raj, "other", 9).await;
    let refused = async |uses: &[(&str, u64)]| {
        submit(harness, &ann, job_using(harness, &ann, 1, uses)).await.unwrap_err()
    };
    let unknown = |name: &str| Refusal::UnknownLimit(name.to_owned());
    assert_eq!(refused(&[("license", 1)]).await, unknown("license"));
    assert_eq!(refused(&[("licence", 1), ("other", 1)]).await, unknown("other"), "it is of another group");
    let small = Refusal::LimitTooSmall { name: "licence".into(), value: 2, uses: 3 };
    assert_eq!(refused(&[("licence", 3)]).await, small);
    assert_eq!(harness.scalar("SELECT count(*) FROM job").await, 0);
}

pub(crate) async fn used_limit_is_not_removed<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let worker = harness.worker(&ann).await;
    let remove = async |harness: &Harness<B>, by: &Person, limit: &str| {
        harness.store().remove_limit(Actor::User(by.user), ann.group, limit, harness.now).await.unwrap()
    };
    set(harness, &ann, "licence", 2).await;
    let id = submit(harness, &ann, job_using(harness, &ann, 1, &[("licence", 1)])).await.unwrap();
    assert_eq!(remove(harness, &ann, "licence").await, LimitRemoval::InUse(vec![id]));
    assert_eq!(remove(harness, &ann, "other").await, LimitRemoval::Unknown);
    harness.let_in(raj.user, ann.group).await;
    assert_eq!(remove(harness, &raj, "licence").await, LimitRemoval::Denied);
    let set_by_raj =
        harness.store().set_limit(Actor::User(raj.user), ann.group, &name("licence"), 9, harness.now).await;
    assert!(!set_by_raj.answer(), "raj is no Admin");
    let held = harness.claim_one(worker).await;
    harness.finish(&held).await;
    assert!(harness.store().end_job(id, harness.now).await.answer());
    assert_eq!(remove(harness, &ann, "licence").await, LimitRemoval::Removed);
    assert!(limits(harness, ann.group).await.is_empty());
    // A retried task waits for the limit to be set again.
    let all = JobTasks { states: vec![TaskCondition::Succeeded], ..JobTasks::default() };
    harness.store().retry_job(Actor::User(ann.user), id, &all, harness.now).await.answer();
    assert!(harness.claim(worker, 1).await.is_empty());
    let Standing::AtLimit(at) = standing(harness, held.task.uuid).await else { panic!("it waits") };
    assert!(at.is_removed);
    set(harness, &ann, "licence", 1).await;
    assert_eq!(harness.claim_one(worker).await.task.uuid, held.task.uuid);
}

async fn standing<B: Backend>(harness: &Harness<B>, task: Uuid) -> Standing {
    harness.store().facts(task).await.unwrap().expect("the task is there").standing
}

pub(crate) async fn explanation_has_the_limit_and_its_users<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    set(harness, &ann, "licence", 2).await;
    let id = submit(harness, &ann, job_using(harness, &ann, 3, &[("licence", 1)])).await.unwrap();
    let last = harness.store().tasks_of_job(id, &JobTasks::default(), 2, 1).await.unwrap()[0].uuid;
    assert!(matches!(standing(harness, last).await, Standing::Ready { .. }), "there is room");
    harness.claim(worker, 2).await;
    let Standing::AtLimit(at) = standing(harness, last).await else { panic!("it waits for the limit") };
    let limit = LimitInfo { name: "licence".into(), value: 2, in_use: 2, jobs: vec![id.0] };
    assert_eq!((at.limit, at.uses, at.is_removed), (limit, 1, false));
    let job = harness.store().job(id).await.unwrap().expect("the job is there");
    assert_eq!(job.limits, [LimitUse { name: "licence".into(), uses: 1 }]);
}

pub(crate) async fn tasks_that_no_worker_can_run_use_nothing<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    set(harness, &ann, "licence", 1).await;
    let mut tagged = job_using(harness, &ann, 3, &[("licence", 1)]);
    tagged.first.iter_mut().for_each(|task| task.tags = tag_set("gpu"));
    submit(harness, &ann, tagged).await.unwrap();
    let plain = submit(harness, &ann, job_using(harness, &ann, 3, &[("licence", 1)])).await.unwrap();
    assert_eq!(jobs_of(harness, &harness.claim(worker, 9).await).await, [plain]);
}

pub(crate) async fn lost_and_retried_attempts_use_a_limit_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (lost, worker) = (harness.worker(&ann).await, harness.worker(&ann).await);
    set(harness, &ann, "licence", 2).await;
    submit(harness, &ann, job_using(harness, &ann, 4, &[("licence", 1)])).await.unwrap();
    assert_eq!(harness.claim(lost, 9).await.len(), 2);
    let signed_off = harness.store().sign_off(lost.uuid, Fate::WorkerLost, harness.now).await.unwrap();
    assert!(signed_off.into_parts().1.ready, "others may start");
    let held = harness.claim(worker, 9).await;
    assert_eq!(held.len(), 2);
    let returned = vec![held[0].lease];
    harness.exchange_one(Exchange { returned, ..harness.nothing(worker) }).await;
    assert_eq!(harness.claim(worker, 9).await.len(), 1);
}

/// Agents that wait for a task have to ask again when a limit has room.
pub(crate) async fn end_of_a_limited_task_wakes_others<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    set(harness, &ann, "licence", 2).await;
    submit(harness, &ann, job_using(harness, &ann, 3, &[("licence", 1)])).await.unwrap();
    let plain = harness.submit_one(&ann).await;
    let held = harness.claim(worker, 9).await;
    assert_eq!(held.len(), 3);
    for one in held {
        let is_limited = one.task.uuid != plain;
        let changed = match one.lease.task.0 % 2 {
            0 => {
                let (holder, end) = (Holder::Lease(one.lease), Some(mitosis_domain::task::ExecEnd::Finished));
                let completion = Completion { holder, end, result: status(0) };
                harness.store().complete(&[completion], harness.now).await.unwrap().into_parts().1
            }
            _ => {
                let ended = vec![Ended {
                    lease: one.lease,
                    end: mitosis_domain::task::ExecEnd::Finished,
                    result: status(0),
                    data: None,
                    archives: Vec::new(),
                    usage: None,
                    warnings: Vec::new(),
                }];
                let exchange = Exchange { ended, ..harness.nothing(worker) };
                harness.store().exchange(&[exchange.into()], harness.now.into()).await.unwrap().into_parts().1
            }
        };
        assert_eq!(changed.ready, is_limited, "{changed:?}");
    }
}

pub(crate) async fn concurrent_claims_keep_a_limit<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    set(harness, &ann, "a", 5).await;
    set(harness, &ann, "b", 3).await;
    for uses in [&[("a", 1)][..], &[("a", 2), ("b", 1)], &[("b", 1)]] {
        submit(harness, &ann, job_using(harness, &ann, 40, uses)).await.unwrap();
    }
    let mut workers = Vec::new();
    for _ in 0..6 {
        workers.push(harness.worker(&ann).await);
    }
    let harness = &*harness;
    for _ in 0..8 {
        let claims = join_all(workers.iter().map(|worker| harness.claim(*worker, 3))).await;
        for limit in limits(harness, ann.group).await {
            assert_eq!(limit.in_use, limit.value, "all of it is used: {limit:?}");
        }
        let held: Vec<Assignment> = claims.into_iter().flatten().collect();
        join_all(held.iter().map(|held| harness.finish(held))).await;
    }
}

/// A worker for a group that runs what it gets.
fn worker_of<B: Backend>(harness: &Harness<B>, owner: &Person, group: GroupId) -> NewWorker {
    NewWorker { groups: [(group, Role::Write)].into(), ..harness.new_worker(owner) }
}

/// The group with the least slot time has the whole share, and too few tasks for it.
pub(crate) async fn group_that_has_used_more_gets_the_rest<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let both = NewWorker {
        groups: [(ann.group, Role::Write), (raj.group, Role::Write)].into(),
        ..harness.new_worker(&ann)
    };
    let worker = harness.register(&both).await;
    let tasks = |harness: &Harness<B>, count, group| -> Vec<NewTask> {
        (0..count).map(|_| harness.task(group)).collect()
    };
    harness.submit(&ann, &tasks(harness, 20, ann.group)).await;
    assert_eq!(harness.claim(worker, 4).await.len(), 4);
    harness.pass(HOUR);
    harness.submit(&raj, &tasks(harness, 2, raj.group)).await;
    let held = harness.claim(worker, 5).await;
    let of_raj = held.iter().filter(|held| held.task.group == raj.group).count();
    assert_eq!((held.len(), of_raj), (5, 2));
}

pub(crate) async fn members_share_slot_time<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = harness.group(&ann, "lab").await;
    let worker = harness.register(&worker_of(harness, &ann, lab)).await;
    let many = |harness: &Harness<B>, count, priority| -> Vec<NewTask> {
        (0..count).map(|_| NewTask { priority, ..harness.task(lab) }).collect()
    };
    harness.submit(&ann, &many(harness, 50, 0)).await;
    let first = harness.claim(worker, 4).await;
    harness.pass(HOUR);
    harness.submit(&raj, &many(harness, 6, 0)).await;
    let creators =
        |held: &[Assignment]| -> Vec<String> { held.iter().map(|held| held.task.creator.clone()).collect() };
    let next = harness.claim(worker, 3).await;
    assert_eq!(creators(&next), ["raj"; 3], "ann has used four hours");
    harness.submit(&ann, &many(harness, 1, 7)).await;
    let next = harness.claim(worker, 5).await;
    assert_eq!(creators(&next), ["ann", "raj", "raj", "raj", "ann"], "larger priority goes first");
    for held in first {
        harness.finish(&held).await;
    }
    harness.store().correct_shares(harness.now).await.unwrap();
    harness.pass(SECOND);
    assert_eq!(harness.claim(worker, 99).await.len(), 50 - 4 - 1, "nothing is left behind");
}

pub(crate) async fn members_with_various_priorities_get_all_tasks<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj, mei) =
        (harness.person("ann").await, harness.person("raj").await, harness.person("mei").await);
    let lab = harness.group(&ann, "lab").await;
    let worker = harness.register(&worker_of(harness, &ann, lab)).await;
    for (at, person) in [&ann, &raj, &mei, &raj, &ann, &mei, &ann].into_iter().enumerate() {
        let priorities = [0, 3, -2, i32::MIN, 3, i32::MAX, 0];
        let task = |at: usize| NewTask {
            priority: priorities[at % 7],
            tags: tag_set(if at.is_multiple_of(2) { "" } else { "x" }),
            ..harness.task(lab)
        };
        harness.submit(person, &[task(at), task(at + 1), task(at + 2)]).await;
    }
    let tagged = NewWorker { tags: tag_set("x"), ..worker_of(harness, &ann, lab) };
    let tagged = harness.register(&tagged).await;
    let mut held = harness.claim(worker, 2).await;
    for count in [1, 2, 3, 5, 99] {
        let some = harness.claim(tagged, count).await;
        let priorities: Vec<i32> = some.iter().map(|held| held.task.priority).collect();
        assert!(priorities.is_sorted_by(|one, next| one >= next), "{priorities:?}");
        held.extend(some);
    }
    assert_eq!(held.len(), 21, "every task is claimed once");
}

pub(crate) async fn changed_and_repeated_tasks_keep_their_kind_of_lane<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let worker = harness.worker(&ann).await;
    set(harness, &ann, "licence", 1).await;
    let id = submit(harness, &ann, job_using(harness, &ann, 2, &[("licence", 1)])).await.unwrap();
    let tasks = harness.store().tasks_of_job(id, &JobTasks::default(), 0, 9).await.unwrap();
    let change = TaskChange { tags: Some(tag_set("x")), ..TaskChange::default() };
    let changed = harness.store().change_task(Actor::System, tasks[1].uuid, &change, harness.now).await;
    assert!(changed.answer());
    let held = harness.claim_one(worker).await;
    let tagged = NewWorker { tags: tag_set("x"), ..harness.new_worker(&ann) };
    let tagged = harness.register(&tagged).await;
    assert!(harness.claim(tagged, 9).await.is_empty(), "it still uses the limit");
    harness.finish(&held).await;
    harness.let_in(raj.user, ann.group).await;
    let repeat = [Repeat { of: held.task.uuid, uuid: harness.uuid() }];
    let repeated = harness.store().repeat(raj.user, &repeat, RepeatMode::Once, None, harness.now).await;
    assert!(matches!(repeated.answer(), Repetition::Accepted(all) if all.len() == 1));
    assert_eq!(harness.claim(tagged, 9).await.len(), 1, "both use the limit");
}

pub(crate) async fn priorities_are_bounded_for_writers<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = harness.group(&ann, "lab").await;
    harness.let_in(raj.user, lab).await;
    let (store, now) = (harness.store(), harness.now);
    let by = |person: &Person| Actor::User(person.user);
    assert!(!store.set_write_priority(by(&raj), lab, Some(9), now).await.unwrap(), "raj is no Admin");
    assert!(store.set_write_priority(by(&ann), lab, Some(3), now).await.unwrap());
    assert_eq!(store.group("lab").await.unwrap().unwrap().write_priority, Some(3));
    assert_eq!(store.priority_bound(raj.user, lab).await.unwrap(), Some(3));
    assert_eq!(store.priority_bound(ann.user, lab).await.unwrap(), None);
    let high = |harness: &Harness<B>| NewTask { priority: 50, ..harness.task(lab) };
    let of_raj = harness.submit(&raj, &[high(harness), harness.task(lab)]).await;
    let of_ann = harness.submit(&ann, &[high(harness)]).await;
    let priority = async |uuid| harness.get(uuid).await.priority;
    assert_eq!((priority(of_raj[0].uuid).await, priority(of_raj[1].uuid).await), (3, 0));
    assert_eq!(priority(of_ann[0].uuid).await, 50);
    let raise = TaskChange { priority: Some(9), ..TaskChange::default() };
    assert!(store.change_task(by(&raj), of_raj[1].uuid, &raise, now).await.answer());
    assert!(store.change_task(by(&raj), of_ann[0].uuid, &raise, now).await.answer());
    assert_eq!((priority(of_raj[1].uuid).await, priority(of_ann[0].uuid).await), (3, 9));
    let job = NewJob {
        group: lab,
        priority: 4,
        first: vec![harness.task(lab)],
        ..job_using(harness, &ann, 1, &[])
    };
    let refusal = Refusal::PriorityTooHigh { priority: 4, most: 3 };
    assert_eq!(submit(harness, &raj, job.clone()).await, Err(refusal));
    let first = job.first.iter().map(|task| NewTask { priority: 4, ..task.clone() }).collect();
    let id = submit(harness, &ann, NewJob { first, ..job }).await.unwrap();
    let change = async |person, priority| {
        let change = JobChange { priority: Some(priority), ..JobChange::default() };
        store.change_job(by(person), id, &change, now).await.answer()
    };
    assert!(!change(&raj, 5).await && change(&raj, 4).await && change(&ann, 99).await);
    assert!(store.set_write_priority(by(&ann), lab, None, now).await.unwrap());
    assert!(change(&raj, 1_000).await);
}

pub(crate) async fn weights_are_set_by_administrators<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let (store, now) = (harness.store(), harness.now);
    let administrator = Actor::Administrator(ann.user);
    assert_eq!(store.set_weight(administrator, "raj", 2, now).await.unwrap(), Administered::Denied);
    assert_eq!(store.set_weight(Actor::System, "other", 2, now).await.unwrap(), Administered::Unknown);
    assert_eq!(store.set_weight(Actor::System, "raj", 3, now).await.unwrap(), Administered::Done(()));
    let weights: Vec<(String, u32)> = store
        .all_groups(None, 9)
        .await
        .unwrap()
        .into_iter()
        .map(|group| (group.name, group.weight))
        .collect();
    assert_eq!(weights, [("ann".to_owned(), 1), ("raj".to_owned(), 3)]);
    store.correct_shares(now).await.unwrap();
    let both = NewWorker {
        groups: [(ann.group, Role::Write), (raj.group, Role::Write)].into(),
        ..harness.new_worker(&ann)
    };
    let worker = harness.register(&both).await;
    for person in [&ann, &raj] {
        let tasks: Vec<NewTask> = (0..20).map(|_| harness.task(person.group)).collect();
        harness.submit(person, &tasks).await;
    }
    let held = harness.claim(worker, 8).await;
    assert_eq!(held.iter().filter(|held| held.task.group == raj.group).count(), 6);
}
