//! Element-wise needs: task k of a job waits for task k of another.

use futures_util::future::join;
use mitosis_domain::explain::Standing;
use mitosis_domain::ids::JobId;
use mitosis_domain::job_plan::Step;
use mitosis_domain::task::{ExecEnd, Phase};
use mitosis_protocol::job::{
    JobChange, JobOptions, JobResource, NeedKind, NeededJob, NewNeed, StopCause, TaskCondition,
};
use mitosis_protocol::retry::RetryPolicy;
use mitosis_protocol::{ArtifactKind, TaskResultMessage};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Assigned, Assignment, Ended, Exchange, Holder};
use mitosis_store::ops::jobs::{JobCancellation, JobRemoval, JobSubmission, JobTasks, NewJob};
use mitosis_store::ops::workers::Fate;
use uuid::Uuid;

use super::jobs::{
    complete, counts, end, indices, job, needs, new_job, next, retried, retry, submit, submit_one, write,
};
use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, Person, RegisteredWorker, SECOND, status};

/// A job of `size` tasks, and one that needs its tasks.
async fn chain<B: Backend>(harness: &Harness<B>, ann: &Person, size: u64) -> (JobId, JobId) {
    let written = usize::try_from(size).unwrap();
    let first = submit_one(harness, ann, new_job(harness, ann, size, written)).await;
    (first, each(harness, ann, first, size).await)
}

/// A job that needs the tasks of another.
async fn each<B: Backend>(harness: &Harness<B>, ann: &Person, needed: JobId, size: u64) -> JobId {
    let needs = needs(needed, NeedKind::Each);
    submit_one(harness, ann, NewJob { needs, ..new_job(harness, ann, size, 0) }).await
}

/// Claims the next tasks; returns them in the order of their indices.
async fn claim<B: Backend>(harness: &Harness<B>, worker: RegisteredWorker, count: usize) -> Vec<Assignment> {
    harness.claim(worker, count).await
}

async fn finish<B: Backend>(harness: &Harness<B>, held: &Assignment, exit: i32) {
    complete(harness, Holder::Lease(held.lease), status(exit * 256)).await;
}

/// The UUIDs of the written tasks of a job.
async fn uuids<B: Backend>(harness: &Harness<B>, id: JobId) -> Vec<Uuid> {
    let tasks = harness.store().tasks_of_job(id, &JobTasks::default(), 0, 99).await.unwrap();
    tasks.into_iter().map(|task| task.uuid).collect()
}

async fn blocked<B: Backend>(harness: &Harness<B>, id: JobId) -> (u64, u64) {
    harness.check_invariants().await;
    let counts = counts(harness, id).await;
    (counts.waiting - counts.blocked, counts.blocked)
}

pub(crate) async fn task_waits_for_that_with_its_index<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (first, second) = chain(harness, &ann, 3).await;
    assert_eq!(next(harness, second).await, Step::Wait, "no needed task has ended");
    let held = claim(harness, worker, 9).await;
    assert_eq!(held.len(), 3);
    finish(harness, &held[1], 0).await;
    assert_eq!(next(harness, second).await, Step::Write(3));
    assert!(write(harness, &ann, second, 0, 3).await);
    assert_eq!(blocked(harness, second).await, (1, 2));
    let of_second = uuids(harness, second).await;
    assert_eq!(harness.phase(of_second[0]).await, Phase::Pending);
    let facts = harness.store().facts(of_second[0]).await.unwrap().expect("a task");
    assert_eq!(facts.standing, Standing::Blocked { job: first.0, index: 1 });
    let free = claim(harness, worker, 9).await;
    assert_eq!(free.iter().map(|held| held.task.uuid).collect::<Vec<_>>(), [of_second[1]]);
    finish(harness, &held[0], 0).await;
    assert_eq!(blocked(harness, second).await, (1, 1));
    assert_eq!(claim(harness, worker, 9).await[0].task.uuid, of_second[0]);
    let need = harness.store().job_needs(&[second]).await.unwrap()[0].1;
    assert_eq!((need.kind, need.met), (NeedKind::Each, false));
    finish(harness, &held[2], 0).await;
    assert!(end(harness, first).await);
    assert!(harness.store().job_needs(&[second]).await.unwrap()[0].1.met);
    assert_eq!((job(harness, second).await.unmet, next(harness, second).await), (0, Step::Wait));
}

pub(crate) async fn released_task_is_assigned_by_the_same_exchange<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (_, second) = chain(harness, &ann, 3).await;
    let third = each(harness, &ann, second, 3).await;
    let held = claim(harness, worker, 3).await;
    finish(harness, &held[0], 0).await;
    assert!(write(harness, &ann, second, 0, 3).await);
    finish(harness, &claim(harness, worker, 1).await[0], 0).await;
    assert!(write(harness, &ann, third, 0, 3).await);
    let reports = vec![ended(&held[1], 0), ended(&held[2], 1)];
    let one = Exchange { ended: reports, want: 9, ..harness.nothing(worker) };
    let Assigned::Work(work, _) = harness.exchange_one(one).await.assigned else { panic!("a worker") };
    let uuids = [uuids(harness, second).await[1], uuids(harness, third).await[0]];
    assert_eq!(work.iter().map(|work| work.uuid).collect::<Vec<_>>(), uuids);
    for id in [second, third] {
        assert_eq!(counts(harness, id).await.cancelled, 1);
    }
    assert_eq!((blocked(harness, second).await, blocked(harness, third).await), ((0, 0), (0, 1)));
}

/// The report of an attempt.
fn ended(held: &Assignment, exit: i32) -> Ended {
    Ended {
        lease: held.lease,
        end: ExecEnd::Finished,
        result: status(exit * 256),
        data: None,
        warnings: Vec::new(),
        archives: Vec::new(),
        usage: None,
    }
}

pub(crate) async fn failed_task_cancels_those_that_need_it<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (first, second) = chain(harness, &ann, 3).await;
    let third = each(harness, &ann, second, 3).await;
    let held = claim(harness, worker, 3).await;
    finish(harness, &held[0], 0).await;
    assert!(write(harness, &ann, second, 0, 3).await);
    finish(harness, &claim(harness, worker, 1).await[0], 0).await;
    assert!(write(harness, &ann, third, 0, 3).await);
    assert_eq!(blocked(harness, third).await, (1, 2));
    finish(harness, &held[1], 1).await;
    for id in [second, third] {
        let counts = counts(harness, id).await;
        assert_eq!((counts.cancelled, counts.blocked), (1, 1), "{id:?}");
    }
    let Phase::Ended(ending) = harness.phase(uuids(harness, third).await[1]).await else { panic!("ended") };
    assert_eq!(ending.result.msg, Some(TaskResultMessage::DependencyFailed));
    assert_eq!(ending.warnings[0].text, format!("task {}/2 did not succeed", second.0));
    // A worker that is lost too often, and a stop by a user, count as well.
    harness.store().sign_off(worker.uuid, Fate::WorkerLost, harness.now).await.answer();
    let _cancelled =
        harness.store().cancel_job(Actor::System, first, &indices(&[(3, 3)]), harness.now).await.answer();
    assert_eq!((counts(harness, second).await.cancelled, counts(harness, third).await.cancelled), (2, 2));
    harness.check_invariants().await;
}

pub(crate) async fn task_that_is_retried_has_not_ended<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let policy = RetryPolicy { retries: 1, on: Vec::new(), backoff: SECOND, max_backoff: SECOND };
    let new = NewJob { retry: Some(policy), ..new_job(harness, &ann, 2, 2) };
    let first = submit_one(harness, &ann, new).await;
    let second = each(harness, &ann, first, 2).await;
    let held = claim(harness, worker, 2).await;
    finish(harness, &held[0], 0).await;
    assert!(write(harness, &ann, second, 0, 2).await);
    finish(harness, &held[1], 1).await;
    assert_eq!(blocked(harness, second).await, (1, 1));
    harness.pass(SECOND);
    assert_eq!(next(harness, first).await, Step::Release(1));
    assert_eq!(harness.store().release_tasks(first, 1, harness.now).await.answer(), 1);
    let again = claim(harness, worker, 1).await;
    finish(harness, &again[0], 1).await;
    assert_eq!((blocked(harness, second).await, counts(harness, second).await.cancelled), ((1, 0), 1));
}

pub(crate) async fn retried_task_lets_those_that_need_it_wait_again<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (first, second) = chain(harness, &ann, 2).await;
    let third = each(harness, &ann, second, 2).await;
    let held = claim(harness, worker, 2).await;
    finish(harness, &held[0], 1).await;
    finish(harness, &held[1], 0).await;
    assert!(end(harness, first).await);
    assert!(write(harness, &ann, second, 0, 2).await);
    assert_eq!((blocked(harness, second).await, counts(harness, second).await.cancelled), ((1, 0), 1));
    finish(harness, &claim(harness, worker, 1).await[0], 0).await;
    assert!(write(harness, &ann, third, 0, 2).await);
    finish(harness, &claim(harness, worker, 1).await[0], 0).await;
    assert!(end(harness, second).await && end(harness, third).await);
    assert_eq!(retry(harness, second, &JobTasks::default()).await, retried(0), "it would be cancelled again");
    assert_eq!(retry(harness, first, &JobTasks::default()).await, retried(1));
    for id in [second, third] {
        assert_eq!(blocked(harness, id).await, (0, 1));
        assert_eq!(job(harness, id).await.ended_at, None);
    }
    for _ in 0..3 {
        finish(harness, &claim(harness, worker, 9).await[0], 0).await;
    }
    for id in [first, second, third] {
        assert!(end(harness, id).await);
        assert_eq!(counts(harness, id).await.succeeded, 2);
    }
    // A task that was released once does not wait for the same task again.
    let all = JobTasks { indices: vec![(1, 1)], states: vec![TaskCondition::Succeeded] };
    assert_eq!(retry(harness, first, &all).await, retried(1));
    assert_eq!(counts(harness, second).await.succeeded, 2);
    // But one that is retried itself does.
    assert_eq!(retry(harness, second, &all).await, retried(1));
    assert_eq!(blocked(harness, second).await, (0, 1));
    finish(harness, &claim(harness, worker, 9).await[0], 1).await;
    assert_eq!(counts(harness, second).await.cancelled, 1);
    harness.check_invariants().await;
}

pub(crate) async fn task_waits_for_all_jobs_that_it_needs<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let new = || new_job(harness, &ann, 2, 2);
    let (one, other) = (submit_one(harness, &ann, new()).await, submit_one(harness, &ann, new()).await);
    let whole = submit_one(harness, &ann, new_job(harness, &ann, 1, 1)).await;
    let mut all = needs(one, NeedKind::Each);
    all.extend(needs(other, NeedKind::Each));
    all.extend(needs(whole, NeedKind::Ended));
    let id = submit_one(harness, &ann, NewJob { needs: all, ..new_job(harness, &ann, 2, 0) }).await;
    let held = claim(harness, worker, 5).await;
    finish(harness, &held[0], 0).await;
    finish(harness, &held[2], 0).await;
    assert_eq!((job(harness, id).await.unmet, next(harness, id).await), (1, Step::Wait));
    finish(harness, &held[4], 1).await;
    assert!(end(harness, whole).await);
    assert_eq!(next(harness, id).await, Step::Write(2));
    assert!(write(harness, &ann, id, 0, 2).await);
    assert_eq!(blocked(harness, id).await, (1, 1));
    finish(harness, &held[1], 0).await;
    assert_eq!(blocked(harness, id).await, (1, 1));
    finish(harness, &held[3], 0).await;
    assert_eq!(blocked(harness, id).await, (2, 0));
}

pub(crate) async fn paused_and_limited_jobs_release_no_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (first, second) = chain(harness, &ann, 3).await;
    let options = JobOptions { max_running: Some(1), ..JobOptions::default() };
    let limited = NewJob { options, needs: needs(first, NeedKind::Each), ..new_job(harness, &ann, 3, 0) };
    let limited = submit_one(harness, &ann, limited).await;
    let held = claim(harness, worker, 3).await;
    finish(harness, &held[0], 0).await;
    for id in [second, limited] {
        assert!(write(harness, &ann, id, 0, 3).await);
    }
    let change = |paused| JobChange { paused: Some(paused), ..JobChange::default() };
    assert!(harness.store().change_job(Actor::System, second, &change(true), harness.now).await.answer());
    finish(harness, &held[1], 0).await;
    finish(harness, &held[2], 0).await;
    assert_eq!((blocked(harness, second).await, blocked(harness, limited).await), ((3, 0), (3, 0)));
    assert_eq!(claim(harness, worker, 9).await.len(), 0);
    assert_eq!(next(harness, limited).await, Step::Release(1));
    assert_eq!(harness.store().release_tasks(limited, 9, harness.now).await.answer(), 1);
    assert_eq!(next(harness, limited).await, Step::Wait);
    assert!(harness.store().change_job(Actor::System, second, &change(false), harness.now).await.answer());
    assert_eq!(next(harness, second).await, Step::Release(3));
    assert_eq!(harness.store().release_tasks(second, 9, harness.now).await.answer(), 3);
    assert_eq!(claim(harness, worker, 9).await.len(), 4);
}

pub(crate) async fn cancelled_job_ends_those_that_need_its_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let first = submit_one(harness, &ann, new_job(harness, &ann, 4, 2)).await;
    let second = each(harness, &ann, first, 4).await;
    let third = each(harness, &ann, second, 4).await;
    let held = claim(harness, worker, 1).await;
    finish(harness, &held[0], 0).await;
    assert_eq!(next(harness, second).await, Step::Write(2), "no task beyond those that are written");
    assert!(!write(harness, &ann, second, 0, 3).await);
    assert!(write(harness, &ann, second, 0, 2).await);
    let cancelled =
        harness.store().cancel_job(Actor::System, first, &JobTasks::default(), harness.now).await.answer();
    assert!(matches!(cancelled, JobCancellation::Done { cancelled: 3, .. }), "{cancelled:?}");
    assert_eq!((blocked(harness, second).await, counts(harness, second).await.cancelled), ((1, 0), 1));
    assert!(end(harness, first).await);
    assert_eq!(next(harness, second).await, Step::Cut(first));
    assert!(harness.store().cut_job(second, first, harness.now).await.answer());
    assert!(!harness.store().cut_job(second, first, harness.now).await.answer());
    let cut = Some((StopCause::DependencyFailed, Some(first)));
    assert_eq!(job(harness, second).await.stopped, cut);
    // A lost attempt of a task that was written does not end it.
    let held = claim(harness, worker, 1).await;
    assert_eq!(held.len(), 1);
    harness.store().sign_off(worker.uuid, Fate::WorkerLost, harness.now).await.answer();
    assert_eq!(blocked(harness, second).await, (1, 0));
    let worker = harness.worker(&ann).await;
    finish(harness, &claim(harness, worker, 1).await[0], 1).await;
    assert!(end(harness, second).await);
    assert_eq!(next(harness, third).await, Step::Cut(second), "nothing it needs can succeed");
    assert!(harness.store().cut_job(third, second, harness.now).await.answer());
    assert!(end(harness, third).await);
    assert_eq!(retry(harness, first, &JobTasks::default()).await, retried(3));
    for id in [second, third] {
        assert_eq!((job(harness, id).await.stopped, job(harness, id).await.ended_at), (None, None), "{id:?}");
    }
    assert_eq!(blocked(harness, second).await, (0, 1));
}

pub(crate) async fn jobs_of_unequal_lengths_are_refused<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let first = submit_one(harness, &ann, new_job(harness, &ann, 3, 0)).await;
    let store = harness.store();
    let unequal = NewJob { needs: needs(first, NeedKind::Each), ..new_job(harness, &ann, 2, 0) };
    let both = [new_job(harness, &ann, 1, 0), unequal];
    let refused = store.submit_jobs(ann.user, &both, None, harness.now).await.answer();
    assert_eq!(refused, JobSubmission::UnequalLengths { position: 1, needed: first.0, tasks: 3 });
    let on = NeededJob::Job(first.0);
    let resource = JobResource { from: on, content_type: ArtifactKind::Result, local_path: "a".to_owned() };
    let fetching = NewJob { resources: vec![resource], ..new_job(harness, &ann, 2, 0) };
    let refused = store.submit_jobs(ann.user, &[fetching], None, harness.now).await.answer();
    assert_eq!(refused, JobSubmission::SeveralTasks { position: 0, needed: first.0, tasks: 3 });
    let unknown = NewJob { needs: needs(JobId(77), NeedKind::Each), ..new_job(harness, &ann, 2, 0) };
    let refused = store.submit_jobs(ann.user, &[unknown], None, harness.now).await.answer();
    assert_eq!(refused, JobSubmission::UnknownJob(77));
}

pub(crate) async fn needed_tasks_are_not_removed<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (first, second) = chain(harness, &ann, 1).await;
    finish(harness, &claim(harness, worker, 1).await[0], 0).await;
    assert!(end(harness, first).await);
    harness.pass(SECOND);
    let store = harness.store();
    assert_eq!(store.remove_job(Actor::System, first, harness.now).await.unwrap(), JobRemoval::Needed);
    let old = store.delete_ended_tasks(harness.now, None, 9, harness.now).await.unwrap();
    assert_eq!(old.tasks, 0);
    let _cancelled =
        store.cancel_job(Actor::System, second, &JobTasks::default(), harness.now).await.answer();
    assert!(end(harness, second).await);
    let removed = harness.store().remove_job(Actor::System, first, harness.now).await.unwrap();
    assert!(matches!(removed, JobRemoval::Done { tasks: 1, more: false, .. }), "{removed:?}");
}

pub(crate) async fn tasks_that_ended_before_block_nothing<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let first = submit_one(harness, &ann, new_job(harness, &ann, 3, 3)).await;
    let held = claim(harness, worker, 3).await;
    for (held, exit) in held.iter().zip([0, 1, 0]) {
        finish(harness, held, exit).await;
    }
    assert!(end(harness, first).await);
    let second = each(harness, &ann, first, 3).await;
    assert!(harness.store().job_needs(&[second]).await.unwrap()[0].1.met);
    assert_eq!(next(harness, second).await, Step::Write(3));
    assert!(write(harness, &ann, second, 0, 3).await);
    assert_eq!((blocked(harness, second).await, counts(harness, second).await.cancelled), ((2, 0), 1));
}

/// Two coordinators write the tasks of two jobs while workers end those that they need.
pub(crate) async fn concurrent_ends_and_writes_lose_no_task<B: Backend>(harness: &mut Harness<B>) {
    const TASKS: u64 = 60;
    let ann = harness.person("ann").await;
    let (first, second) = chain(harness, &ann, TASKS).await;
    let third = each(harness, &ann, second, TASKS).await;
    let (one, other) = (harness.worker(&ann).await, harness.worker(&ann).await);
    let harness = &*harness;
    let work = async |worker| {
        while counts(harness, third).await.ended() < TASKS {
            let held = harness.claim(worker, 5).await;
            let exit = |at, held: &Assignment| i32::from(at == 4 && held.lease.task.0 % 3 == 0);
            let reports = held.iter().enumerate().map(|(at, held)| ended(held, exit(at, held)));
            harness.exchange_one(Exchange { ended: reports.collect(), ..harness.nothing(worker) }).await;
        }
    };
    let plan = async |id: JobId| {
        loop {
            let snapshot =
                harness.store().job_snapshot(id, harness.now).await.unwrap().expect("it is active");
            match snapshot.next(harness.now) {
                Step::Write(count) => {
                    let count = usize::try_from(count.min(7)).unwrap();
                    write(harness, &ann, id, snapshot.written, count).await;
                }
                Step::End => return,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    join(join(work(one), work(other)), join(plan(second), plan(third))).await;
    harness.check_invariants().await;
    for id in [first, second, third] {
        let counts = counts(harness, id).await;
        assert_eq!(counts.ended(), TASKS, "{id:?} {counts:?}");
    }
}

/// Jobs that need the tasks of another are submitted while these end.
pub(crate) async fn submission_sees_tasks_that_end_meanwhile<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let first = submit_one(harness, &ann, new_job(harness, &ann, 20, 20)).await;
    let held = claim(harness, worker, 20).await;
    let harness = &*harness;
    let ends = async {
        for held in &held {
            finish(harness, held, 0).await;
        }
    };
    let submissions = async {
        let mut ids = Vec::new();
        for _ in 0..4 {
            let id = each(harness, &ann, first, 20).await;
            let is_written = write(harness, &ann, id, 0, 20).await;
            assert!(is_written, "all needed tasks are written");
            ids.push(id);
        }
        ids
    };
    let ((), ids) = join(ends, submissions).await;
    for id in ids {
        assert_eq!(blocked(harness, id).await, (20, 0));
    }
}

pub(crate) async fn artifacts_are_those_of_the_needed_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let first = submit_one(harness, &ann, new_job(harness, &ann, 3, 3)).await;
    let single = submit_one(harness, &ann, new_job(harness, &ann, 1, 1)).await;
    let resource = |job: JobId, content_type, local_path: &str| JobResource {
        from: NeededJob::Job(job.0),
        content_type,
        local_path: local_path.to_owned(),
    };
    let new = NewJob {
        needs: vec![NewNeed { on: NeededJob::Job(first.0), kind: NeedKind::Each }],
        resources: vec![
            resource(first, ArtifactKind::Result, "data/result.tar.gz"),
            resource(single, ArtifactKind::StdLog, "log"),
        ],
        ..new_job(harness, &ann, 3, 0)
    };
    let id = submit_one(harness, &ann, new).await;
    assert_eq!(job(harness, id).await.unmet, 1, "the source of an artifact is needed");
    let (of_first, of_single) = (uuids(harness, first).await, uuids(harness, single).await);
    let needed = harness.store().needed_artifacts(id, 1, 2).await.unwrap();
    let needed: Vec<(u64, Uuid, &str)> =
        needed.iter().map(|needed| (needed.index, needed.task, &*needed.local_path)).collect();
    let data = "data/result.tar.gz";
    let expected =
        [(2, of_first[1], data), (3, of_first[2], data), (2, of_single[0], "log"), (3, of_single[0], "log")];
    assert_eq!(needed, expected);
    let without = harness.store().needed_artifacts(first, 0, 3).await.unwrap();
    assert!(without.is_empty());
    let both = submit(harness, &ann, &[new_job(harness, &ann, 1, 0)]).await;
    assert!(harness.store().needed_artifacts(both[0], 0, 1).await.unwrap().is_empty());
}
