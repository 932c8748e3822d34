//! Jobs: late writing, order, counts, limits, dependencies, retries and removal.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use mitosis_domain::explain::{Hold, Standing};
use mitosis_domain::ids::JobId;
use mitosis_domain::job_plan::{Step, WrittenCounts};
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::job::{
    AttemptOutcome, JobChange, JobOptions, NeedKind, NeededJob, NewNeed, StopCause, TaskCondition,
};
use mitosis_protocol::retry::{RetryCause, RetryPolicy};
use mitosis_protocol::{ArtifactKind, Epoch, TaskResult, TaskResultMessage, TaskState, WaitStatus};
use mitosis_store::ops::Actor;
use mitosis_store::ops::artifacts::Reservation;
use mitosis_store::ops::dispatch::{Assignment, Completed, Completion, Exchange, Holder};
use mitosis_store::ops::groups::GroupDeletion;
use mitosis_store::ops::jobs::{
    Job, JobCancellation, JobQuery, JobRemoval, JobRetry, JobSubmission, JobTasks, NewJob,
};
use mitosis_store::ops::retention::DeletedJobs;
use mitosis_store::ops::tasks::{IdempotencyKey, NewTask};
use mitosis_store::ops::workers::Fate;
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{HOUR, Harness, Person, RegisteredWorker, SECOND, status};

/// A job with its first tasks written.
pub(super) fn new_job<B: Backend>(harness: &Harness<B>, owner: &Person, size: u64, written: usize) -> NewJob {
    NewJob {
        group: owner.group,
        name: None,
        labels: harness.task(owner.group).labels,
        priority: 0,
        blueprint: Arc::from("{}"),
        size,
        options: JobOptions::default(),
        retry: None,
        limits: Vec::new(),
        needs: Vec::new(),
        resources: Vec::new(),
        notify: Vec::new(),
        references: Vec::new(),
        first: tasks(harness, owner, written),
    }
}

pub(super) fn tasks<B: Backend>(harness: &Harness<B>, owner: &Person, count: usize) -> Vec<NewTask> {
    (0..count).map(|_| harness.task(owner.group)).collect()
}

pub(super) fn needs(job: JobId, kind: NeedKind) -> Vec<NewNeed> {
    vec![NewNeed { on: NeededJob::Job(job.0), kind }]
}

pub(super) async fn submit<B: Backend>(harness: &Harness<B>, owner: &Person, jobs: &[NewJob]) -> Vec<JobId> {
    match harness.store().submit_jobs(owner.user, jobs, None, harness.now).await.answer() {
        JobSubmission::Accepted(ids) => ids,
        other => panic!("unexpected submission: {other:?}"),
    }
}

pub(super) async fn submit_one<B: Backend>(harness: &Harness<B>, owner: &Person, job: NewJob) -> JobId {
    submit(harness, owner, &[job]).await[0]
}

pub(super) async fn job<B: Backend>(harness: &Harness<B>, id: JobId) -> Job {
    harness.store().job(id).await.unwrap().expect("the job is there")
}

pub(super) async fn counts<B: Backend>(harness: &Harness<B>, id: JobId) -> WrittenCounts {
    job(harness, id).await.counts
}

pub(super) async fn next<B: Backend>(harness: &Harness<B>, id: JobId) -> Step {
    harness.store().job_snapshot(id, harness.now).await.unwrap().expect("an active job").next(harness.now)
}

pub(super) async fn write<B: Backend>(
    harness: &Harness<B>,
    owner: &Person,
    id: JobId,
    written: u64,
    count: usize,
) -> bool {
    let new = tasks(harness, owner, count);
    harness.store().write_tasks(id, written, &new, harness.now).await.answer()
}

pub(super) async fn end<B: Backend>(harness: &Harness<B>, id: JobId) -> bool {
    harness.store().end_job(id, harness.now).await.answer()
}

pub(super) async fn complete<B: Backend>(harness: &Harness<B>, holder: Holder, result: TaskResult) {
    let completion = Completion { holder, end: Some(ExecEnd::Finished), result };
    assert_eq!(harness.complete(completion).await, Completed::Committed);
}

pub(super) async fn retry<B: Backend>(harness: &Harness<B>, id: JobId, tasks: &JobTasks) -> JobRetry {
    harness.store().retry_job(Actor::System, id, tasks, harness.now).await.answer()
}

pub(super) fn retried(count: u64) -> JobRetry {
    JobRetry::Done { retried: count, more: false }
}

pub(super) fn indices(ranges: &[(u64, u64)]) -> JobTasks {
    JobTasks { indices: ranges.to_vec(), states: Vec::new() }
}

pub(crate) async fn later_tasks_of_a_job_go_before_later_jobs<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let before = harness.submit_one(&ann).await;
    let first = submit_one(harness, &ann, new_job(harness, &ann, 4, 1)).await;
    let after = harness.submit_one(&ann).await;
    let second = submit_one(harness, &ann, new_job(harness, &ann, 2, 2)).await;
    assert!(second > first);
    assert!(write(harness, &ann, first, 1, 3).await);
    let claimed: Vec<Uuid> = harness.claim(worker, 9).await.iter().map(|held| held.task.uuid).collect();
    let store = harness.store();
    let of_first = store.tasks_of_job(first, &JobTasks::default(), 0, 9).await.unwrap();
    let of_second = store.tasks_of_job(second, &JobTasks::default(), 0, 9).await.unwrap();
    assert_eq!(of_first.iter().map(|task| task.index).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let expected: Vec<Uuid> = [before]
        .into_iter()
        .chain(of_first.iter().map(|task| task.uuid))
        .chain([after])
        .chain(of_second.iter().map(|task| task.uuid))
        .collect();
    assert_eq!(claimed, expected);
    let numbers: Vec<i64> = {
        let mut numbers = Vec::new();
        for uuid in &claimed {
            numbers.push(harness.get(*uuid).await.number);
        }
        numbers
    };
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    let fifth = harness.store().task_by_number(ann.group, 5).await.unwrap().expect("a task of the job");
    assert_eq!(fifth.uuid, of_first[3].uuid);
}

pub(crate) async fn counts_equal_the_rows_at_every_step<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let id = submit_one(harness, &ann, new_job(harness, &ann, 9, 6)).await;
    let mut expected = WrittenCounts { waiting: 6, ..WrittenCounts::default() };
    assert_eq!(counts(harness, id).await, expected);
    let held = harness.claim(worker, 5).await;
    expected = WrittenCounts { waiting: 1, running: 5, ..expected };
    assert_eq!(counts(harness, id).await, expected);

    complete(harness, Holder::Lease(held[0].lease), status(0)).await;
    complete(harness, Holder::Lease(held[1].lease), status(256)).await;
    let timed_out = TaskResult { exit_status: WaitStatus(9), msg: Some(TaskResultMessage::ExecTimeout) };
    complete(harness, Holder::Lease(held[2].lease), timed_out).await;
    let returned = Exchange { returned: vec![held[3].lease], ..harness.nothing(worker) };
    harness.exchange_one(returned).await;
    expected = WrittenCounts {
        waiting: 2,
        blocked: 0,
        running: 1,
        succeeded: 1,
        failed: 1,
        timed_out: 1,
        cancelled: 0,
    };
    assert_eq!(counts(harness, id).await, expected);

    let fifth = harness.store().tasks_of_job(id, &indices(&[(4, 4)]), 0, 9).await.unwrap();
    let selection = mitosis_store::ops::tasks::CancelSelection::Ready(vec![fifth[0].uuid]);
    assert_eq!(harness.store().cancel(Actor::System, &selection, harness.now).await.answer().len(), 1);
    harness.check_invariants().await;
    harness.store().sign_off(worker.uuid, Fate::WorkerLost, harness.now).await.answer();
    expected = WrittenCounts { waiting: 2, running: 0, cancelled: 1, ..expected };
    assert_eq!(counts(harness, id).await, expected);
    assert_eq!(job(harness, id).await.written, 6);
}

pub(crate) async fn tasks_are_written_once<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let id = submit_one(harness, &ann, new_job(harness, &ann, 50, 10)).await;
    assert!(!write(harness, &ann, id, 0, 10).await, "they are written");
    assert!(!write(harness, &ann, id, 11, 10).await, "one would be left out");
    assert!(!write(harness, &ann, id, 10, 41).await, "the job has no more");
    let several = join_all((0..4).map(|_| write(harness, &ann, id, 10, 20))).await;
    assert_eq!(several.iter().filter(|written| **written).count(), 1, "{several:?}");
    harness.restart().await;
    assert!(write(harness, &ann, id, 30, 20).await);
    assert_eq!(job(harness, id).await.written, 50);
    assert_eq!(counts(harness, id).await.waiting, 50);
    let all = harness.store().tasks_of_job(id, &JobTasks::default(), 0, 99).await.unwrap();
    assert_eq!(all.len(), 50);
    let page = harness.store().tasks_of_job(id, &indices(&[(3, 5), (9, 99)]), 4, 2).await.unwrap();
    assert_eq!(page.iter().map(|task| task.index).collect::<Vec<_>>(), [5, 9]);
}

pub(crate) async fn concurrent_submissions_reserve_different_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let singles = tasks(harness, &ann, 40);
    let jobs: Vec<NewJob> = (0..20).map(|at| new_job(harness, &ann, 3 + at % 2, 2)).collect();
    let (store, now) = (harness.store(), harness.now);
    let of_jobs = join_all(
        jobs.iter().map(|job| store.submit_jobs(ann.user, std::slice::from_ref(job), None, harness.now)),
    );
    let (of_jobs, of_singles) = join(of_jobs, async {
        let mut all = Vec::new();
        for single in &singles {
            all.push(store.submit(ann.user, std::slice::from_ref(single), None, now).await);
        }
        all
    })
    .await;
    assert_eq!(of_singles.len(), 40);
    for submission in of_jobs {
        let JobSubmission::Accepted(ids) = submission.answer() else { panic!("refused") };
        let job = job(harness, ids[0]).await;
        let missing = usize::try_from(job.size - job.written).unwrap();
        assert!(write(harness, &ann, ids[0], job.written, missing).await);
    }
    assert_eq!(harness.scalar("SELECT count(*) FROM task").await, 40 + 70);
}

pub(crate) async fn submission_of_jobs_is_repeatable_and_checked<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let (store, now) = (harness.store(), harness.now);
    let key = |digest| IdempotencyKey { key: "k".into(), digest: [digest; 32], refused: Vec::new() };
    let new = [new_job(harness, &ann, 3, 1)];
    let unknown = [NewJob { needs: needs(JobId(77), NeedKind::Ended), ..new[0].clone() }];
    let refused = store.submit_jobs(ann.user, &unknown, Some(&key(1)), now).await.answer();
    assert_eq!(refused, JobSubmission::UnknownJob(77));
    let JobSubmission::Accepted(ids) = store.submit_jobs(ann.user, &new, Some(&key(1)), now).await.answer()
    else {
        panic!("a refused key can be used again")
    };
    let again = store.submit_jobs(ann.user, &new, Some(&key(1)), now).await.answer();
    assert_eq!(again, JobSubmission::Replayed(ids.clone()));
    let reused = store.submit_jobs(ann.user, &new, Some(&key(2)), now).await.answer();
    assert_eq!(reused, JobSubmission::KeyReused);
    assert_eq!(store.submit_jobs(raj.user, &new, None, now).await.answer(), JobSubmission::Denied);
    let of_ann = [NewJob { needs: needs(ids[0], NeedKind::Ended), ..new_job(harness, &raj, 1, 0) }];
    let hidden = store.submit_jobs(raj.user, &of_ann, None, now).await.answer();
    assert_eq!(hidden, JobSubmission::UnknownJob(ids[0].0), "it looks like a job that is not there");
    let query = JobQuery { groups: vec![raj.group], limit: 9, ..JobQuery::default() };
    assert!(store.jobs(&query).await.unwrap().is_empty());
    let query = JobQuery { groups: vec![ann.group], limit: 9, ..JobQuery::default() };
    assert_eq!(store.jobs(&query).await.unwrap().len(), 1);
    let other = JobQuery { ids: Some(vec![ids[0].0]), groups: vec![raj.group], ..query };
    assert!(store.jobs(&other).await.unwrap().is_empty());
    let change = JobChange { paused: Some(true), ..JobChange::default() };
    assert!(!store.change_job(Actor::User(raj.user), ids[0], &change, now).await.answer());
    let all = JobTasks::default();
    let denied = store.cancel_job(Actor::User(raj.user), ids[0], &all, now).await.answer();
    assert_eq!(denied, JobCancellation::Denied);
    assert_eq!(store.retry_job(Actor::User(raj.user), ids[0], &all, now).await.answer(), JobRetry::Denied);
    assert_eq!(store.remove_job(Actor::User(raj.user), ids[0], now).await.unwrap(), JobRemoval::Denied);
}

pub(crate) async fn paused_job_starts_no_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let id = submit_one(harness, &ann, new_job(harness, &ann, 5, 3)).await;
    let held = harness.claim_one(worker).await;
    let pause = |paused| JobChange { paused: Some(paused), ..JobChange::default() };
    assert!(harness.store().change_job(Actor::User(ann.user), id, &pause(true), harness.now).await.answer());
    assert!(harness.claim(worker, 9).await.is_empty());
    assert_eq!(next(harness, id).await, Step::Wait);
    assert!(!write(harness, &ann, id, 3, 2).await);
    assert_eq!(harness.store().release_tasks(id, 9, harness.now).await.answer(), 0);
    let returned = Exchange { returned: vec![held.lease], ..harness.nothing(worker) };
    harness.exchange_one(returned).await;
    assert!(harness.claim(worker, 9).await.is_empty(), "a returned task is held, too");

    assert!(harness.store().change_job(Actor::User(ann.user), id, &pause(false), harness.now).await.answer());
    assert_eq!(next(harness, id).await, Step::Release(3));
    assert_eq!(harness.store().release_tasks(id, 3, harness.now).await.answer(), 3);
    assert_eq!(next(harness, id).await, Step::Write(2));
    assert_eq!(harness.claim(worker, 9).await.len(), 3);
}

pub(crate) async fn priority_of_a_job_moves_its_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let first = harness.submit_one(&ann).await;
    let id = submit_one(harness, &ann, new_job(harness, &ann, 4, 2)).await;
    let change = JobChange { priority: Some(7), ..JobChange::default() };
    assert!(harness.store().change_job(Actor::System, id, &change, harness.now).await.answer());
    let held = harness.claim(worker, 2).await;
    assert!(held.iter().all(|held| held.task.uuid != first && held.task.priority == 7));
    let stored = harness.store().blueprint(id).await.unwrap().expect("a blueprint");
    let snapshot = harness.store().job_snapshot(id, harness.now).await.unwrap().expect("an active job");
    assert_eq!((snapshot.priority, &*stored.blueprint), (7, "{}"), "later tasks get it, too");
    assert!(!write(harness, &ann, id, 2, 2).await, "the tasks have the earlier priority");
}

pub(crate) async fn limit_of_a_job_is_never_exceeded<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let options = JobOptions { max_running: Some(2), ..JobOptions::default() };
    let id = submit_one(harness, &ann, NewJob { options, ..new_job(harness, &ann, 6, 2) }).await;
    assert!(!write(harness, &ann, id, 2, 1).await);
    let held = harness.claim(worker, 9).await;
    assert_eq!((held.len(), next(harness, id).await), (2, Step::Wait));
    complete(harness, Holder::Lease(held[0].lease), status(256)).await;
    assert_eq!(next(harness, id).await, Step::Write(1));
    assert!(!write(harness, &ann, id, 2, 2).await);
    assert!(write(harness, &ann, id, 2, 1).await);
    // A retried task waits until there is room.
    let failed = JobTasks { states: vec![TaskCondition::Failed], ..JobTasks::default() };
    assert_eq!(retry(harness, id, &failed).await, retried(1));
    assert_eq!(harness.claim(worker, 9).await.len(), 1);
    assert_eq!(next(harness, id).await, Step::Wait);
    complete(harness, Holder::Lease(held[1].lease), status(0)).await;
    assert_eq!(next(harness, id).await, Step::Release(1));
    assert_eq!(harness.store().release_tasks(id, 5, harness.now).await.answer(), 1);
    let change = JobChange { max_running: Some(1), ..JobChange::default() };
    assert!(harness.store().change_job(Actor::System, id, &change, harness.now).await.answer());
    assert!(harness.claim(worker, 9).await.is_empty(), "one runs already");
    let change = JobChange { max_running: Some(0), ..JobChange::default() };
    assert!(harness.store().change_job(Actor::System, id, &change, harness.now).await.answer());
    assert_eq!(next(harness, id).await, Step::Release(1));
}

pub(crate) async fn limit_set_later_holds_returned_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let id = submit_one(harness, &ann, new_job(harness, &ann, 4, 4)).await;
    let held = harness.claim(worker, 4).await;
    let change = JobChange { max_running: Some(2), ..JobChange::default() };
    assert!(harness.store().change_job(Actor::System, id, &change, harness.now).await.answer());
    let returned = held[..3].iter().map(|held| held.lease).collect();
    harness.exchange_one(Exchange { returned, ..harness.nothing(worker) }).await;
    assert!(harness.claim(worker, 9).await.is_empty(), "a coordinator releases them");
    assert_eq!(next(harness, id).await, Step::Release(1));
    assert_eq!(harness.store().release_tasks(id, 9, harness.now).await.answer(), 1);
    assert_eq!(harness.claim(worker, 9).await.len(), 1);
}

pub(crate) async fn cancelled_job_writes_nothing_more<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let id = submit_one(harness, &ann, new_job(harness, &ann, 1_000_000, 3)).await;
    let held = harness.claim_one(worker).await;
    let cancelled = harness
        .store()
        .cancel_job(Actor::User(ann.user), id, &JobTasks::default(), harness.now)
        .await
        .answer();
    let running = vec![held.task.uuid];
    assert_eq!(cancelled, JobCancellation::Done { cancelled: 999_999, running, more: false });
    assert!(!write(harness, &ann, id, 3, 1).await);
    assert!(!end(harness, id).await, "a task runs");
    let returned = Exchange { returned: vec![held.lease], ..harness.nothing(worker) };
    harness.exchange_one(returned).await;
    assert!(harness.claim(worker, 9).await.is_empty(), "a returned task is cancelled");
    assert_eq!(next(harness, id).await, Step::End);
    assert!(end(harness, id).await);
    assert!(!end(harness, id).await, "once");
    let job = job(harness, id).await;
    assert_eq!((job.stopped, job.counts.cancelled), (Some((StopCause::Cancelled, None)), 3));
    assert!(harness.store().job_snapshot(id, harness.now).await.unwrap().is_none());
    assert!(harness.store().active_jobs(JobId(0), 9).await.unwrap().is_empty());
}

pub(crate) async fn tasks_cancelled_before_they_are_written_never_run<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let id = submit_one(harness, &ann, new_job(harness, &ann, 9, 3)).await;
    let some = indices(&[(2, 2), (5, 6), (8, 99)]);
    let cancelled = harness.store().cancel_job(Actor::System, id, &some, harness.now).await.answer();
    assert_eq!(cancelled, JobCancellation::Done { cancelled: 5, running: Vec::new(), more: false });
    let again = harness.store().cancel_job(Actor::System, id, &some, harness.now).await.answer();
    assert_eq!(again, JobCancellation::Done { cancelled: 0, running: Vec::new(), more: false });
    assert_eq!(job(harness, id).await.skipped.ranges(), [(5, 6), (8, 9)]);
    // Those that are not written wait again after a retry.
    assert_eq!(retry(harness, id, &indices(&[(6, 8)])).await, retried(2));
    assert_eq!(job(harness, id).await.skipped.ranges(), [(5, 5), (9, 9)]);
    let again = harness.store().cancel_job(Actor::System, id, &some, harness.now).await.answer();
    assert_eq!(again, JobCancellation::Done { cancelled: 2, running: Vec::new(), more: false });
    assert!(write(harness, &ann, id, 3, 2).await);
    assert!(write(harness, &ann, id, 5, 4).await);
    let held = harness.claim(worker, 9).await;
    let running = JobTasks { states: vec![TaskCondition::Running], ..JobTasks::default() };
    let running = harness.store().tasks_of_job(id, &running, 0, 99).await.unwrap();
    assert!(running.iter().all(|row| row.state == TaskCondition::Running), "{running:?}");
    let all = harness.store().tasks_of_job(id, &JobTasks::default(), 0, 99).await.unwrap();
    assert!(all.iter().any(|row| row.state == TaskCondition::Cancelled), "{all:?}");
    assert_eq!(running.iter().map(|task| task.index).collect::<Vec<_>>(), [1, 3, 4, 7]);
    for held in held {
        harness.finish(&held).await;
    }
    assert!(end(harness, id).await);
    let counts = counts(harness, id).await;
    assert_eq!((counts.succeeded, counts.cancelled), (4, 5));
}

pub(crate) async fn job_waits_for_the_success_of_another<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let first = submit_one(harness, &ann, new_job(harness, &ann, 1, 1)).await;
    let on = |kind| NewJob { needs: needs(first, kind), ..new_job(harness, &ann, 2, 0) };
    let ids = submit(harness, &ann, &[on(NeedKind::Succeeded), on(NeedKind::Ended)]).await;
    for id in &ids {
        assert_eq!((job(harness, *id).await.unmet, next(harness, *id).await), (1, Step::Wait));
        assert!(!write(harness, &ann, *id, 0, 2).await);
    }
    let held = harness.claim_one(worker).await;
    harness.finish(&held).await;
    assert!(end(harness, first).await);
    for id in &ids {
        assert_eq!(next(harness, *id).await, Step::Write(2));
        let needs = harness.store().job_needs(&[*id]).await.unwrap();
        assert!(needs.len() == 1 && needs[0].1.met && needs[0].1.job == first.0, "{needs:?}");
    }
    let late = submit_one(harness, &ann, on(NeedKind::Succeeded)).await;
    assert_eq!(next(harness, late).await, Step::Write(2), "it had succeeded before");
}

pub(crate) async fn failure_stops_the_jobs_that_need_success<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let position = |position, kind| vec![NewNeed { on: NeededJob::Position(position), kind }];
    let new = |needs| NewJob { needs, ..new_job(harness, &ann, 2, 0) };
    let jobs = [
        new_job(harness, &ann, 1, 1),
        new(position(0, NeedKind::Succeeded)),
        new(position(0, NeedKind::Ended)),
        new(position(1, NeedKind::Succeeded)),
    ];
    let ids = submit(harness, &ann, &jobs).await;
    let held = harness.claim_one(worker).await;
    complete(harness, Holder::Lease(held.lease), status(256)).await;
    assert!(end(harness, ids[0]).await);
    let failed = |by: JobId| Some((StopCause::DependencyFailed, Some(by)));
    assert_eq!(job(harness, ids[1]).await.stopped, failed(ids[0]));
    assert_eq!(next(harness, ids[1]).await, Step::End);
    assert_eq!(next(harness, ids[2]).await, Step::Write(2));
    assert_eq!(job(harness, ids[3]).await.stopped, None, "its own dependency has not ended");
    assert!(end(harness, ids[1]).await);
    assert_eq!(job(harness, ids[3]).await.stopped, failed(ids[1]));
    assert!(end(harness, ids[3]).await);

    let late =
        submit_one(harness, &ann, NewJob { needs: needs(ids[0], NeedKind::Succeeded), ..jobs[1].clone() })
            .await;
    assert_eq!(job(harness, late).await.stopped, failed(ids[0]), "it had failed before");

    // After a retry, they wait again.
    assert_eq!(retry(harness, ids[0], &JobTasks::default()).await, retried(1));
    for id in [ids[1], ids[3], late] {
        let job = job(harness, id).await;
        assert_eq!((job.stopped, job.ended_at, job.unmet), (None, None, 1));
    }
    let held = harness.claim_one(worker).await;
    harness.finish(&held).await;
    assert!(end(harness, ids[0]).await);
    assert_eq!(next(harness, ids[1]).await, Step::Write(2));
    assert_eq!(next(harness, late).await, Step::Write(2));
    assert_eq!(next(harness, ids[3]).await, Step::Wait);
}

pub(crate) async fn stopped_job_cancels_its_waiting_tasks_in_batches<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let id = submit_one(harness, &ann, new_job(harness, &ann, 5_000, 2_100)).await;
    let held = harness.claim_one(worker).await;
    let store = harness.store();
    let stop = || store.stop_job(id, StopCause::MaxFailures, harness.now);
    assert!(stop().await.answer(), "more than one batch waits");
    assert!(!stop().await.answer());
    assert_eq!(counts(harness, id).await.cancelled, 2_099);
    harness.finish(&held).await;
    assert_eq!(next(harness, id).await, Step::End);
    assert!(end(harness, id).await);
    let whole =
        harness.store().retry_job(Actor::System, id, &JobTasks::default(), harness.now).await.answer();
    assert_eq!(whole, JobRetry::Done { retried: 2_000 + 2_900, more: true });
    assert_eq!(retry(harness, id, &JobTasks::default()).await, retried(99));
    assert_eq!(next(harness, id).await, Step::Wait, "enough tasks wait");
    assert_eq!(counts(harness, id).await.waiting, 2_099);
}

pub(crate) async fn retried_tasks_keep_their_attempts<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let id = submit_one(harness, &ann, new_job(harness, &ann, 3, 3)).await;
    let held = harness.claim(worker, 3).await;
    let holder = Holder::Lease(held[1].lease);
    harness.report(holder, ExecEnd::Finished).await;
    let reserved =
        harness.store().reserve_attempt_artifact(holder, ArtifactKind::StdLog, 70, harness.now).await;
    assert!(matches!(reserved.answer(), Reservation::Reserved { .. }));
    for (held, exit) in held.iter().zip([0, 256, 0]) {
        complete(harness, Holder::Lease(held.lease), status(exit)).await;
    }
    assert!(end(harness, id).await);
    let uuid = held[1].task.uuid;
    assert_eq!(harness.used("ann").await, 70);
    harness.pass(HOUR);
    assert_eq!(retry(harness, id, &JobTasks::default()).await, retried(1));
    assert_eq!(retry(harness, id, &JobTasks::default()).await, retried(0), "it waits already");
    assert_eq!(job(harness, id).await.ended_at, None);
    let stale = Completion { holder, end: Some(ExecEnd::Finished), result: status(0) };
    assert_eq!(harness.complete(stale).await, Completed::Replayed, "a repeated report has no effect");
    let again = harness.claim_one(worker).await;
    assert_eq!((again.task.uuid, again.lease.epoch), (uuid, held[1].lease.epoch.next()));
    assert!(
        harness.store().artifacts(again.task.id).await.unwrap().is_empty(),
        "the new attempt left nothing yet"
    );
    let of_attempt = async |harness: &Harness<B>, epoch| {
        harness.store().artifacts_of_attempt(again.task.id, epoch).await.unwrap().len()
    };
    assert_eq!(of_attempt(harness, Epoch::FIRST).await, 1, "it is not that of the task any more");
    assert_eq!(of_attempt(harness, again.lease.epoch).await, 0);
    harness.finish(&again).await;
    let attempts = harness.store().attempts(uuid).await.unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|one| (one.attempt, one.outcome)).collect();
    assert_eq!(outcomes, [(1, AttemptOutcome::Failed), (2, AttemptOutcome::Succeeded)]);
    assert_eq!((attempts[0].exit_code, attempts[0].worker), (Some(1), Some(worker.uuid)));
    let counts = counts(harness, id).await;
    assert_eq!((counts.succeeded, counts.failed), (3, 0));
    assert!(end(harness, id).await);
    assert_eq!(harness.used("ann").await, 70, "the output of the first attempt is kept");
    assert_eq!(
        retry(harness, id, &JobTasks { states: vec![TaskCondition::Succeeded], indices: vec![(2, 3)] }).await,
        retried(2)
    );
}

fn policy(retries: u32, backoff: Duration) -> RetryPolicy {
    let on = vec![RetryCause::Exit(vec![(1, 9)])];
    RetryPolicy { retries, on, backoff, max_backoff: SECOND * 15 }
}

/// Claims the only task that may start, and ends it with exit code 1.
async fn fail_next<B: Backend>(harness: &Harness<B>, worker: RegisteredWorker) -> Assignment {
    let held = harness.claim_one(worker).await;
    complete(harness, Holder::Lease(held.lease), status(256)).await;
    held
}

async fn outcomes<B: Backend>(harness: &Harness<B>, task: Uuid) -> Vec<AttemptOutcome> {
    harness.store().attempts(task).await.unwrap().iter().map(|attempt| attempt.outcome).collect()
}

pub(crate) async fn failed_task_has_further_attempts<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let retry_policy = Some(policy(2, SECOND * 10));
    let id = submit_one(harness, &ann, NewJob { retry: retry_policy, ..new_job(harness, &ann, 1, 1) }).await;
    for wait in [SECOND * 10, SECOND * 15] {
        let held = fail_next(harness, worker).await;
        let repeated = Completion {
            holder: Holder::Lease(held.lease),
            end: Some(ExecEnd::Finished),
            result: status(256),
        };
        assert_eq!(harness.complete(repeated).await, Completed::Replayed);
        let found = harness.store().task(held.task.uuid).await.unwrap().expect("the task is there");
        assert_eq!(found.phase.state(), TaskState::Ready, "it never appears as ended");
        assert_eq!(counts(harness, id).await, WrittenCounts { waiting: 1, ..WrittenCounts::default() });
        assert_eq!(next(harness, id).await, Step::WaitUntil(harness.now + wait));
        let facts = harness.store().facts(held.task.uuid).await.unwrap().expect("the task is there");
        assert_eq!(facts.standing, Standing::OnHold { job: id.0, hold: Hold::Retry(harness.now + wait) });
        assert_eq!(harness.store().release_tasks(id, 9, harness.now).await.answer(), 0);
        assert!(harness.claim(worker, 9).await.is_empty());
        harness.pass(wait);
        assert_eq!(next(harness, id).await, Step::Release(1));
        assert_eq!(harness.store().release_tasks(id, 9, harness.now).await.answer(), 1);
    }
    let uuid = fail_next(harness, worker).await.task.uuid;
    assert_eq!(counts(harness, id).await, WrittenCounts { failed: 1, ..WrittenCounts::default() });
    assert_eq!(outcomes(harness, uuid).await, [AttemptOutcome::Failed; 3]);
    // A user's retry has all further attempts again.
    assert_eq!(retry(harness, id, &JobTasks::default()).await, retried(1));
    fail_next(harness, worker).await;
    assert_eq!(next(harness, id).await, Step::WaitUntil(harness.now + SECOND * 10));
    // A cancelled job has no further attempts.
    let cancelled = harness.store().cancel_job(Actor::System, id, &JobTasks::default(), harness.now).await;
    assert!(matches!(cancelled.answer(), JobCancellation::Done { cancelled: 1, .. }));
    assert!(end(harness, id).await);
}

pub(crate) async fn only_failures_of_the_policy_are_retried<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let retry_policy = Some(policy(9, Duration::ZERO));
    let id = submit_one(harness, &ann, NewJob { retry: retry_policy, ..new_job(harness, &ann, 4, 4) }).await;
    let timeout =
        TaskResult { exit_status: WaitStatus::signalled(9), msg: Some(TaskResultMessage::ExecTimeout) };
    let results = [status(256), status(256 * 10), timeout, status(0)];
    for (held, result) in harness.claim(worker, 4).await.iter().zip(results) {
        complete(harness, Holder::Lease(held.lease), result).await;
    }
    let expected =
        WrittenCounts { waiting: 1, failed: 1, timed_out: 1, succeeded: 1, ..WrittenCounts::default() };
    assert_eq!(counts(harness, id).await, expected);
    // Without a wait, it may start at once; a limit or a pause counts.
    let held = harness.claim_one(worker).await;
    let pause = JobChange { paused: Some(true), ..JobChange::default() };
    assert!(harness.store().change_job(Actor::System, id, &pause, harness.now).await.answer());
    complete(harness, Holder::Lease(held.lease), status(256)).await;
    assert!(harness.claim(worker, 9).await.is_empty());
    let facts = harness.store().facts(held.task.uuid).await.unwrap().expect("the task is there");
    assert_eq!(facts.standing, Standing::OnHold { job: id.0, hold: Hold::Paused });
}

pub(crate) async fn lost_attempts_are_listed_and_are_no_retries<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let retry_policy = Some(policy(1, Duration::ZERO));
    let id = submit_one(harness, &ann, NewJob { retry: retry_policy, ..new_job(harness, &ann, 1, 1) }).await;
    let lost = harness.worker(&ann).await;
    let uuid = harness.claim_one(lost).await.task.uuid;
    harness.store().sign_off(lost.uuid, Fate::WorkerLost, harness.now).await.answer();
    let worker = harness.worker(&ann).await;
    fail_next(harness, worker).await;
    fail_next(harness, worker).await;
    assert_eq!(counts(harness, id).await.failed, 1);
    let (lost_one, failed) = (AttemptOutcome::Lost, AttemptOutcome::Failed);
    assert_eq!(outcomes(harness, uuid).await, [lost_one, failed, failed]);
    let first = harness.store().attempts(uuid).await.unwrap()[0].clone();
    assert_eq!((first.worker, first.exit_code), (Some(lost.uuid), None));
}

pub(crate) async fn attempts_of_a_job_are_listed_with_their_workers<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let before = submit_one(harness, &ann, new_job(harness, &ann, 1, 1)).await;
    let lost = harness.worker(&ann).await;
    harness.claim_one(lost).await;
    let id = submit_one(harness, &ann, new_job(harness, &ann, 4, 3)).await;
    harness.claim_one(lost).await;
    harness.store().sign_off(lost.uuid, Fate::WorkerLost, harness.now).await.answer();
    let worker = harness.worker(&ann).await;
    let held = harness.claim(worker, 3).await;
    harness.pass(HOUR);
    complete(harness, Holder::Lease(held[1].lease), status(256)).await;

    let all = harness.store().attempts_of_job(id, 0, 99).await.unwrap();
    let shown: Vec<_> = all.iter().map(|one| (one.index, one.attempt, one.worker, one.outcome)).collect();
    let (lost_one, failed) = (Some(AttemptOutcome::Lost), Some(AttemptOutcome::Failed));
    let expected = [(1, 1, lost.uuid, lost_one), (1, 2, worker.uuid, failed), (2, 1, worker.uuid, None)];
    assert_eq!(shown, expected, "nothing of the other job, and no task that waits");
    assert_eq!(all[1].ended_at.unwrap().since(all[1].started_at.unwrap()), HOUR);
    assert_eq!((all[2].started_at.is_some(), all[2].ended_at), (true, None));
    assert_eq!(harness.store().attempts_of_job(id, 1, 99).await.unwrap(), all[2..]);
    assert_eq!(harness.store().attempts_of_job(id, 0, 2).await.unwrap(), all[..2]);
    assert_eq!(harness.store().attempts_of_job(id, u64::MAX, 99).await.unwrap(), []);
    assert_eq!(harness.store().attempts_of_job(before, 0, 99).await.unwrap().len(), 2);
}

pub(crate) async fn old_job_is_deleted_with_its_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let both = [new_job(harness, &ann, 2, 2), new_job(harness, &ann, 2, 2)];
    let mut ids = submit(harness, &ann, &both).await;
    let paused = JobOptions { paused: true, ..JobOptions::default() };
    let stopped = submit_one(harness, &ann, NewJob { options: paused, ..new_job(harness, &ann, 9, 0) }).await;
    for held in harness.claim(worker, 2).await {
        harness.finish(&held).await;
    }
    assert!(end(harness, ids[0]).await);
    harness.store().cancel_job(Actor::System, stopped, &JobTasks::default(), harness.now).await.answer();
    assert!(end(harness, stopped).await);
    harness.pass(HOUR);
    let delete = async |harness: &Harness<B>, before| {
        harness.store().delete_ended_jobs(before, None, 99, harness.now).await.unwrap()
    };
    assert_eq!(delete(harness, harness.now - HOUR * 2).await, DeletedJobs::default(), "they ended later");
    let early = harness.now + HOUR * 9;
    assert_eq!(harness.store().delete_ended_tasks(early, None, 99, early).await.unwrap().tasks, 0);
    // In each round, at most as many tasks as jobs are deleted.
    let round = harness.store().delete_ended_jobs(early, None, 1, early).await.unwrap();
    assert_eq!(round, DeletedJobs { tasks: 1, next: Some(JobId(ids[0].0 - 1)), ..DeletedJobs::default() });
    let round = harness.store().delete_ended_jobs(early, round.next, 1, early).await.unwrap();
    assert_eq!(round, DeletedJobs { jobs: 1, tasks: 1, next: Some(ids[0]), freed: 0 });
    assert_eq!(delete(harness, early).await, DeletedJobs { jobs: 1, ..DeletedJobs::default() });
    assert!(harness.store().job(stopped).await.unwrap().is_none());
    assert!(harness.store().job(ids.remove(0)).await.unwrap().is_none());
    assert!(harness.store().job(ids[0]).await.unwrap().is_some(), "it has not ended");
    let page = harness.store().delete_ended_jobs(early, None, 1, early).await.unwrap();
    assert_eq!(page, DeletedJobs { next: Some(ids[0]), ..DeletedJobs::default() });
    assert_eq!(harness.scalar("SELECT count(*) FROM job_count").await, 1);
}

pub(crate) async fn removed_job_leaves_nothing<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let id = submit_one(harness, &ann, new_job(harness, &ann, 2_005, 2_005)).await;
    let other = submit_one(
        harness,
        &ann,
        NewJob { needs: needs(id, NeedKind::Ended), ..new_job(harness, &ann, 1, 0) },
    )
    .await;
    let held = harness.claim_one(worker).await;
    let holder = Holder::Lease(held.lease);
    harness.report(holder, ExecEnd::Finished).await;
    let reserved =
        harness.store().reserve_attempt_artifact(holder, ArtifactKind::Result, 500, harness.now).await;
    assert!(matches!(reserved.answer(), Reservation::Reserved { .. }));
    complete(harness, holder, status(256)).await;
    assert_eq!(retry(harness, id, &JobTasks::default()).await, retried(1));
    assert_eq!(harness.store().remove_job(Actor::System, id, harness.now).await.unwrap(), JobRemoval::Active);
    while let JobCancellation::Done { more: true, .. } =
        harness.store().cancel_job(Actor::System, id, &JobTasks::default(), harness.now).await.answer()
    {}
    assert!(end(harness, id).await);
    harness.pass(SECOND);
    let store = harness.store();
    let remove = || store.remove_job(Actor::User(ann.user), id, harness.now);
    assert_eq!(remove().await.unwrap(), JobRemoval::Done { tasks: 2_000, freed: 500, more: true });
    assert_eq!(remove().await.unwrap(), JobRemoval::Done { tasks: 5, freed: 0, more: false });
    assert_eq!(remove().await.unwrap(), JobRemoval::Denied);
    assert_eq!(harness.used("ann").await, 0);
    assert_eq!(harness.scalar("SELECT count(*) FROM attempt").await, 0);
    assert_eq!(next(harness, other).await, Step::Write(1));
}

pub(crate) async fn removal_of_all_jobs_frees_their_key<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let key = IdempotencyKey { key: "night".to_owned(), digest: [1; 32], refused: Vec::new() };
    let both = [new_job(harness, &ann, 1, 0), new_job(harness, &ann, 1, 0)];
    let submit = async |harness: &Harness<B>| {
        harness.store().submit_jobs(ann.user, &both, Some(&key), harness.now).await.answer()
    };
    let JobSubmission::Accepted(ids) = submit(harness).await else { panic!("it is new") };
    for id in &ids {
        assert_eq!(submit(harness).await, JobSubmission::Replayed(ids.clone()));
        harness.store().cancel_job(Actor::System, *id, &JobTasks::default(), harness.now).await.answer();
        assert!(end(harness, *id).await);
        let removed = harness.store().remove_job(Actor::User(ann.user), *id, harness.now).await.unwrap();
        assert!(matches!(removed, JobRemoval::Done { .. }), "{removed:?}");
    }
    assert!(matches!(submit(harness).await, JobSubmission::Accepted(new) if new != ids));
}

pub(crate) async fn deleted_group_ends_its_jobs<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let group = harness.group(&ann, "lab").await;
    let lab = Person { group, ..ann.clone() };
    let id = submit_one(harness, &lab, new_job(harness, &lab, 10, 2)).await;
    let deleted = harness.store().delete_group(Actor::System, group, harness.now).await.answer();
    assert!(matches!(&deleted, GroupDeletion::Deleted(cancelled) if cancelled.len() == 2), "{deleted:?}");
    assert!(!write(harness, &lab, id, 2, 2).await);
    assert_eq!(next(harness, id).await, Step::End);
    assert!(end(harness, id).await);
}

pub(crate) async fn counts_of_concurrent_claims_add_up<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let ids = [
        submit_one(harness, &ann, new_job(harness, &ann, 60, 60)).await,
        submit_one(harness, &ann, new_job(harness, &ann, 60, 60)).await,
    ];
    let mut workers = Vec::new();
    for _ in 0..6 {
        workers.push(harness.worker(&ann).await);
    }
    join_all(workers.iter().map(|worker| async {
        loop {
            let held = harness.claim(*worker, 7).await;
            if held.is_empty() {
                break;
            }
            for (at, held) in held.iter().enumerate() {
                complete(harness, Holder::Lease(held.lease), status(if at == 0 { 256 } else { 0 })).await;
            }
        }
    }))
    .await;
    for id in ids {
        let counts = counts(harness, id).await;
        assert_eq!((counts.waiting, counts.running, counts.ended()), (0, 0, 60));
        assert!(end(harness, id).await);
    }
}
