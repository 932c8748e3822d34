//! Random histories of jobs, with every rule checked after every move.
//!
//! The moves are those of users, workers and coordinators, in any order, with restarts between them. After each, the
//! counts of every job equal its rows, no job exceeds its limit, named limits hold, no worker holds more than it offers, and no task was claimed that may not
//! start. At the end,
//! everything is resumed and drained: every task of every job has ended once, and nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mitosis_domain::ids::JobId;
use mitosis_domain::job_plan::Step;
use mitosis_domain::resources::Free;
use mitosis_domain::tags::TagSet;
use mitosis_domain::task::{ExecEnd, LeaseKey};
use mitosis_protocol::job::{JobChange, JobOptions, NeedKind, NeededJob, NewNeed, StopCause, TaskCondition};
use mitosis_protocol::limit::LimitUse;
use mitosis_protocol::retry::RetryPolicy;
use mitosis_protocol::{Cpus, ResourceOffer, ResourceRequest};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Assigned, Completed, Completion, Ended, Exchange, Holder, Verdict};
use mitosis_store::ops::jobs::{
    Job, JobCancellation, JobQuery, JobRetry, JobSubmission, JobTasks, NewJob, Refusal,
};
use mitosis_store::ops::tasks::NewTask;
use mitosis_store::ops::workers::{Fate, NewWorker};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::backend::Backend;
use crate::harness::{Answer as _, Harness, Person, RegisteredWorker, name, status};

/// The number of histories on each backend.
const CASES: u32 = 5;
/// The number of moves in the longest history.
const LONGEST: usize = 50;
/// The number of workers.
const WORKERS: usize = 2;

/// A move. Numbers select a job, an attempt or a worker among those that exist.
#[derive(Debug, Clone)]
enum Move {
    Submit {
        size: u64,
        paused: bool,
        max_running: Option<u64>,
        max_failures: Option<u64>,
        need: Option<(usize, NeedKind)>,
        /// Another job of as many tasks, of which each task needs one.
        also: Option<usize>,
        retries: Option<u32>,
        /// What each task uses of the named limits.
        uses: [u64; 2],
        /// What each task requests: one of [`requests`].
        request: usize,
    },
    /// Sets a named limit.
    SetLimit(usize, u64),
    /// All workers claim at the same time.
    ClaimAtOnce(usize),
    /// A coordinator decides which workers are reserved.
    Reserve,
    /// The coordinator does what is due for a job.
    Plan(usize),
    /// Another coordinator acts on an old snapshot.
    StaleWrite(usize, u64),
    Claim(usize, usize),
    Finish(usize, i32),
    Return(usize),
    LoseWorker(usize),
    Pause(usize, bool),
    Limit(usize, u64),
    Priority(usize, i32),
    Cancel(usize, Option<(u64, u64)>),
    Retry(usize, Option<(u64, u64)>),
    Restart,
}

fn one_move() -> impl Strategy<Value = Move> {
    let range = || proptest::option::of((1u64..12, 1u64..12).prop_map(|(a, b)| (a.min(b), a.max(b))));
    let kind =
        prop_oneof![1 => Just(NeedKind::Succeeded), 1 => Just(NeedKind::Ended), 3 => Just(NeedKind::Each)];
    let submit = (
        1u64..12,
        proptest::bool::weighted(0.2),
        proptest::option::of(1u64..4),
        proptest::option::weighted(0.3, 0u64..3),
        proptest::option::of((any::<usize>(), kind)),
        proptest::option::weighted(0.3, 1u32..4),
        proptest::option::of(any::<usize>()),
        prop_oneof![2 => Just([0, 0]), 1 => Just([1, 0]), 1 => Just([2, 1]), 1 => Just([0, 1])],
        prop_oneof![3 => Just(0), 2 => 1usize..5],
    );
    let submit =
        submit.prop_map(|(size, paused, max_running, max_failures, need, retries, also, uses, request)| {
            Move::Submit { size, paused, max_running, max_failures, need, also, retries, uses, request }
        });
    prop_oneof![
        3 => submit,
        8 => any::<usize>().prop_map(Move::Plan),
        1 => (any::<usize>(), 0u64..12).prop_map(|(job, written)| Move::StaleWrite(job, written)),
        8 => (any::<usize>(), 1usize..5).prop_map(|(worker, count)| Move::Claim(worker, count)),
        2 => (1usize..5).prop_map(Move::ClaimAtOnce),
        1 => Just(Move::Reserve),
        2 => (0usize..2, 0u64..5).prop_map(|(limit, value)| Move::SetLimit(limit, value)),
        10 => (any::<usize>(), prop_oneof![3 => Just(0), 1 => Just(256)]).prop_map(|(at, exit)| Move::Finish(at, exit)),
        1 => any::<usize>().prop_map(Move::Return),
        1 => any::<usize>().prop_map(Move::LoseWorker),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(job, paused)| Move::Pause(job, paused)),
        1 => (any::<usize>(), 0u64..4).prop_map(|(job, most)| Move::Limit(job, most)),
        1 => (any::<usize>(), -2i32..3).prop_map(|(job, priority)| Move::Priority(job, priority)),
        2 => (any::<usize>(), range()).prop_map(|(job, range)| Move::Cancel(job, range)),
        2 => (any::<usize>(), range()).prop_map(|(job, range)| Move::Retry(job, range)),
        1 => Just(Move::Restart),
    ]
}

/// A store, and what the test has done to it.
struct History<B> {
    harness: Harness<B>,
    ann: Person,
    workers: Vec<RegisteredWorker>,
    jobs: Vec<JobId>,
    /// What the tasks of each job request.
    requests: BTreeMap<JobId, usize>,
    /// The attempts that are held, with their workers.
    held: Vec<(usize, Holder)>,
    /// How much of each limit was in use before the last move.
    in_use: BTreeMap<String, u64>,
}

/// An attempt that was claimed.
struct Held {
    lease: LeaseKey,
}

/// What tasks may request; the first worker can serve all of them.
fn requests() -> [ResourceRequest; 5] {
    let cpus = |cpus: &str| ResourceRequest { cpus: cpus.parse().unwrap(), ..ResourceRequest::default() };
    [
        cpus("1"),
        cpus("2.5"),
        ResourceRequest { gpus: 1, ..cpus("0.5") },
        ResourceRequest { memory: 3, named: BTreeMap::from([("lic".to_owned(), 1)]), ..cpus("0") },
        cpus("4"),
    ]
}

/// What a worker offers.
fn offer(worker: usize) -> ResourceOffer {
    ResourceOffer {
        cpus: Cpus::whole(if worker == 0 { 4 } else { 3 }),
        memory: 8,
        gpus: 2,
        gpu_model: None,
        named: BTreeMap::from([("lic".to_owned(), 3)]),
        tasks: 6,
    }
}

async fn offering<B: Backend>(harness: &Harness<B>, owner: &Person, worker: usize) -> RegisteredWorker {
    let new = NewWorker { slots: Some(3), offer: Some(offer(worker)), ..harness.new_worker(owner) };
    harness.register(&new).await
}

/// The named limits.
const LIMITS: [&str; 2] = ["a", "b"];

impl<B: Backend> History<B> {
    async fn new(backend: B) -> Self {
        let harness = Harness::over(backend);
        let ann = harness.person("ann").await;
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            workers.push(offering(&harness, &ann, workers.len()).await);
        }
        let history = Self {
            harness,
            ann,
            workers,
            jobs: Vec::new(),
            requests: BTreeMap::new(),
            held: Vec::new(),
            in_use: BTreeMap::new(),
        };
        for limit in 0..LIMITS.len() {
            history.set_limit(limit, 3).await;
        }
        history
    }

    fn pick(&self, number: usize) -> Option<JobId> {
        (!self.jobs.is_empty()).then(|| self.jobs[number % self.jobs.len()])
    }

    async fn job(&self, id: JobId) -> Job {
        self.harness.store().job(id).await.unwrap().expect("the job is there")
    }

    fn tasks(&self, count: u64, priority: i32, request: usize) -> Vec<NewTask> {
        let task = || NewTask { priority, ..self.harness.task(self.ann.group) };
        let with_request = |mut task: NewTask| {
            task.spec.request = requests()[request].clone();
            task
        };
        (0..count).map(|_| with_request(task())).collect()
    }

    /// What is free on a worker according to its leases.
    async fn free(&self, worker: usize) -> Free {
        let mut free = Free::of(&offer(worker));
        for request in requests() {
            let text = match request.is_default() {
                true => String::new(),
                false => serde_json::to_string(&request).unwrap(),
            };
            let held = format!(
                "SELECT count(*) FROM lease l JOIN task t ON t.id = l.task_id JOIN lane n ON n.id = t.lane_id
                    LEFT JOIN resource_request r ON r.id = n.request_id
                 WHERE l.worker_id = {} AND coalesce(r.request, '') = '{text}'",
                self.workers[worker].id.0
            );
            free.take(&request, self.harness.scalar(&held).await);
        }
        free
    }

    /// Claims as an agent does that wants at most this number of tasks.
    async fn ask(&self, worker: usize, count: usize) -> Vec<Held> {
        let want = self.free(worker).await.fits(&ResourceRequest::default()).min(count);
        let one = Exchange { want, has_room: true, ..self.harness.nothing(self.workers[worker]) };
        match self.harness.exchange_one(one).await.assigned {
            Assigned::Work(work, _) => work.into_iter().map(|work| Held { lease: work.lease }).collect(),
            other => panic!("unexpected reply: {other:?}"),
        }
    }

    async fn apply(&mut self, one: &Move) {
        let (store, now) = (self.harness.store(), self.harness.now);
        match one {
            Move::Submit { .. } => self.submit(one).await,
            Move::Plan(job) => {
                if let Some(id) = self.pick(*job) {
                    self.plan(id).await;
                }
            }
            Move::StaleWrite(job, written) => {
                let Some(id) = self.pick(*job) else { return };
                let before = self.job(id).await;
                let done = store
                    .write_tasks(id, *written, &self.tasks(1, 0, self.requests[&id]), now)
                    .await
                    .answer();
                assert!(!done || before.written == *written, "an outdated plan has no effect");
            }
            Move::SetLimit(limit, value) => self.set_limit(*limit, *value).await,
            Move::Reserve => {
                store.reserve_workers(now).await.answer();
            }
            Move::Claim(worker, count) => self.claim(*worker % WORKERS, *count).await,
            Move::ClaimAtOnce(count) => self.claim_at_once(*count).await,
            Move::Finish(at, exit) => {
                if !self.held.is_empty() {
                    let (worker, holder) = self.held.swap_remove(*at % self.held.len());
                    match *at % 2 == 0 {
                        true => self.finish(holder, *exit).await,
                        false => self.report(worker, holder, *exit).await,
                    }
                }
            }
            Move::Return(at) => {
                if !self.held.is_empty() {
                    let (worker, holder) = self.held.swap_remove(*at % self.held.len());
                    let Holder::Lease(lease) = holder else { unreachable!("agents hold leases") };
                    let returned = vec![lease];
                    let one = Exchange { returned, ..self.harness.nothing(self.workers[worker]) };
                    self.harness.exchange_one(one).await;
                }
            }
            Move::LoseWorker(worker) => {
                let worker = *worker % WORKERS;
                store.sign_off(self.workers[worker].uuid, Fate::WorkerLost, now).await.answer();
                self.held.retain(|(holder, _)| *holder != worker);
                self.workers[worker] = offering(&self.harness, &self.ann, worker).await;
            }
            Move::Pause(job, paused) => {
                self.change(*job, JobChange { paused: Some(*paused), ..JobChange::default() }).await;
            }
            Move::Limit(job, most) => {
                self.change(*job, JobChange { max_running: Some(*most), ..JobChange::default() }).await;
            }
            Move::Priority(job, priority) => {
                self.change(*job, JobChange { priority: Some(*priority), ..JobChange::default() }).await;
            }
            Move::Cancel(job, range) => {
                if let Some(id) = self.pick(*job) {
                    let tasks = JobTasks { indices: range.iter().copied().collect(), states: Vec::new() };
                    let cancelled =
                        store.cancel_job(Actor::User(self.ann.user), id, &tasks, now).await.answer();
                    assert!(matches!(cancelled, JobCancellation::Done { more: false, .. }), "{cancelled:?}");
                }
            }
            Move::Retry(job, range) => {
                if let Some(id) = self.pick(*job) {
                    let tasks = JobTasks { indices: range.iter().copied().collect(), states: Vec::new() };
                    let retried = store.retry_job(Actor::User(self.ann.user), id, &tasks, now).await.answer();
                    assert!(matches!(retried, JobRetry::Done { more: false, .. }), "{retried:?}");
                }
            }
            Move::Restart => self.harness.restart().await,
        }
    }

    async fn submit(&mut self, one: &Move) {
        let Move::Submit { size, paused, max_running, max_failures, need, also, retries, uses, request } =
            one
        else {
            return;
        };
        let needed = need.and_then(|(job, kind)| Some((self.pick(job)?, kind)));
        let needs = needed.map(|(job, kind)| NewNeed { on: NeededJob::Job(job.0), kind });
        let (mut size, mut needs) = (*size, needs.into_iter().collect::<Vec<_>>());
        if let Some((job, NeedKind::Each)) = needed {
            size = self.job(job).await.size;
            if let Some(other) = also.and_then(|job| self.pick(job)).filter(|other| *other != job)
                && self.job(other).await.size == size
            {
                needs.push(NewNeed { on: NeededJob::Job(other.0), kind: NeedKind::Each });
            }
        }
        let first = if *paused || !needs.is_empty() { 0 } else { size.min(2).min(max_running.unwrap_or(2)) };
        let job = NewJob {
            group: self.ann.group,
            name: None,
            labels: TagSet::default(),
            priority: 0,
            blueprint: Arc::from("{}"),
            size,
            options: JobOptions {
                paused: *paused,
                max_running: *max_running,
                max_failures: *max_failures,
                ..JobOptions::default()
            },
            retry: retries.map(|retries| RetryPolicy {
                retries,
                on: Vec::new(),
                backoff: Duration::from_secs(u64::from(retries % 2) * 3),
                max_backoff: Duration::from_secs(5),
            }),
            limits: LIMITS
                .iter()
                .zip(uses)
                .filter(|(_, uses)| **uses > 0)
                .map(|(name, uses)| LimitUse { name: (*name).to_owned(), uses: *uses })
                .collect(),
            needs,
            resources: Vec::new(),
            notify: Vec::new(),
            references: Vec::new(),
            first: self.tasks(first, 0, *request),
        };
        match self.harness.store().submit_jobs(self.ann.user, &[job], None, self.harness.now).await.answer() {
            JobSubmission::Accepted(ids) => {
                self.requests.extend(ids.iter().map(|id| (*id, *request)));
                self.jobs.extend(ids);
            }
            JobSubmission::Refused(Refusal::LimitTooSmall { value, uses, .. }) => assert!(uses > value),
            other => panic!("unexpected submission: {other:?}"),
        }
    }

    /// Does everything that is due for a job, as a coordinator does.
    async fn plan(&self, id: JobId) {
        let (store, now) = (self.harness.store(), self.harness.now);
        while let Some(snapshot) = store.job_snapshot(id, now).await.unwrap() {
            let has_effect = match snapshot.next(now) {
                Step::Wait | Step::WaitUntil(_) => return,
                Step::Write(count) => {
                    let tasks = self.tasks(count.min(3), snapshot.priority, self.requests[&id]);
                    store.write_tasks(id, snapshot.written, &tasks, now).await.answer()
                }
                Step::Cut(by) => store.cut_job(id, by, now).await.answer(),
                Step::Release(count) => store.release_tasks(id, count, now).await.answer() > 0,
                Step::Stop(cause) => {
                    assert!(!store.stop_job(id, cause, now).await.answer(), "a small job stops at once");
                    true
                }
                Step::End => store.end_job(id, now).await.answer(),
            };
            assert!(
                has_effect,
                "no one else acts, so the step {:?} of {snapshot:?} is possible",
                snapshot.next(now)
            );
        }
    }

    async fn change(&self, job: usize, change: JobChange) {
        let Some(id) = self.pick(job) else { return };
        let by = Actor::User(self.ann.user);
        assert!(self.harness.store().change_job(by, id, &change, self.harness.now).await.answer());
    }

    async fn claim(&mut self, worker: usize, count: usize) {
        let mut before = BTreeMap::new();
        for id in &self.jobs {
            before.insert(*id, self.job(*id).await);
        }
        let claimed = self.ask(worker, count).await;
        for held in &claimed {
            let sql = format!("SELECT job_id FROM task WHERE id = {}", held.lease.task.0);
            let job = &before[&JobId(self.harness.scalar(&sql).await)];
            assert!(!job.options.paused, "a paused job starts nothing");
            assert!(job.unmet == 0, "a blocked job starts nothing");
        }
        for held in &claimed {
            self.check_needed(held.lease.task.0).await;
        }
        self.held.extend(claimed.iter().map(|held| (worker, Holder::Lease(held.lease))));
    }

    /// A task starts after those that it needs have succeeded. No move retries a task that succeeded.
    async fn check_needed(&self, task: i64) {
        let unmet = format!(
            "SELECT count(*) FROM task t JOIN job j ON j.id = t.job_id JOIN job_dependency x ON x.job_id = j.id
                JOIN job n ON n.id = x.needed_id
             WHERE t.id = {task} AND x.kind = 2 AND NOT EXISTS (
                SELECT 1 FROM done d WHERE d.task_id = n.first_id + t.id - j.first_id
                    AND d.state = 3 AND d.exit_status = 0)"
        );
        assert_eq!(self.harness.scalar(&unmet).await, 0, "a task that it needs has not succeeded");
    }

    async fn set_limit(&self, limit: usize, value: u64) {
        let (by, group, name) = (Actor::User(self.ann.user), self.ann.group, name(LIMITS[limit]));
        let store = self.harness.store();
        assert!(store.set_limit(by, group, &name, value, self.harness.now).await.answer());
    }

    async fn claim_at_once(&mut self, count: usize) {
        let claims = (0..WORKERS).map(|worker| self.ask(worker, count));
        let claims = join_all(claims).await;
        for held in claims.iter().flatten() {
            self.check_needed(held.lease.task.0).await;
        }
        for (worker, claimed) in claims.into_iter().enumerate() {
            self.held.extend(claimed.iter().map(|held| (worker, Holder::Lease(held.lease))));
        }
    }

    /// No more of a limit is in use than its value, unless it was lowered: then no task starts.
    async fn check_named_limits(&mut self) {
        for limit in self.harness.store().limits(self.ann.group).await.unwrap() {
            let before = self.in_use.insert(limit.name.clone(), limit.in_use).unwrap_or(0);
            assert!(limit.in_use <= limit.value.max(before), "{limit:?}, before {before}");
        }
    }

    async fn finish(&self, holder: Holder, exit: i32) {
        let completion = Completion { holder, end: Some(ExecEnd::Finished), result: status(exit) };
        assert_eq!(self.harness.complete(completion.clone()).await, Completed::Committed);
        assert_ne!(self.harness.complete(completion).await, Completed::Committed, "only once");
    }

    /// Ends an attempt as agents do.
    async fn report(&self, worker: usize, holder: Holder, exit: i32) {
        let Holder::Lease(lease) = holder else { unreachable!("agents hold leases") };
        let ended = Ended {
            lease,
            end: ExecEnd::Finished,
            result: status(exit),
            data: None,
            warnings: Vec::new(),
            archives: Vec::new(),
            usage: None,
        };
        let one = Exchange { ended: vec![ended], ..self.harness.nothing(self.workers[worker]) };
        let verdicts = self.harness.exchange_one(one).await.verdicts;
        assert!(matches!(verdicts[..], [Verdict::Committed(_)]), "{verdicts:?}");
    }

    /// No worker holds more than it offers.
    async fn check_resources(&self) {
        for worker in 0..WORKERS {
            let free = self.free(worker).await;
            assert!(!free.is_exceeded(), "worker {worker}: {free:?}");
        }
    }

    async fn check(&mut self) {
        self.check_resources().await;
        self.check_named_limits().await;
        self.harness.check_invariants().await;
        for id in &self.jobs {
            let job = self.job(*id).await;
            assert_eq!(job.counts.waiting + job.counts.running + job.counts.ended(), job.written, "{job:?}");
            let all = self.harness.store().tasks_of_job(*id, &JobTasks::default(), 0, 99).await.unwrap();
            let indices: BTreeSet<u64> = all.iter().map(|task| task.index).collect();
            assert_eq!(indices, (1..=job.written).collect(), "each of the first tasks once");
            self.check_limit(&job).await;
        }
    }

    /// Tasks that were claimed before a limit was lowered may exceed it; those that may be claimed don't.
    async fn check_limit(&self, job: &Job) {
        let Some(most) = job.options.max_running else { return };
        let free = format!(
            "SELECT count(*) FROM ready r JOIN task t ON t.id = r.task_id WHERE t.job_id = {} AND NOT r.held",
            job.id.0
        );
        let free = self.harness.scalar(&free).await.unsigned_abs();
        assert!(free == 0 || free + job.counts.running <= most, "{free} may start: {job:?}");
    }

    /// Resumes every job, and runs everything to its end.
    async fn drain(&mut self) {
        let resume = JobChange { paused: Some(false), max_running: Some(0), ..JobChange::default() };
        for at in 0..self.jobs.len() {
            self.change(at, resume).await;
        }
        for limit in 0..LIMITS.len() {
            self.set_limit(limit, 9).await;
        }
        let rounds = 40 * (1 + self.jobs.len());
        for _ in 0..rounds {
            // Deferred attempts become due.
            self.harness.pass(Duration::from_secs(1));
            for id in self.jobs.clone() {
                self.plan(id).await;
            }
            self.harness.store().reserve_workers(self.harness.now).await.answer();
            self.claim(0, 50).await;
            for (_, holder) in std::mem::take(&mut self.held) {
                self.finish(holder, 0).await;
            }
        }
        let query = JobQuery { groups: vec![self.ann.group], limit: 999, ..JobQuery::default() };
        let jobs = self.harness.store().jobs(&query).await.unwrap();
        assert_eq!(jobs.len(), self.jobs.len());
        for job in jobs {
            assert!(job.ended_at.is_some(), "{job:?}");
            assert!(job.counts.ended() == job.size || job.stopped.is_some(), "{job:?}");
            let failed = job.counts.failed + job.counts.timed_out;
            let by_failures = matches!(job.stopped, Some((StopCause::MaxFailures, _)));
            assert!(!by_failures || failed > 0, "{job:?}");
        }
        let waiting =
            JobTasks { states: vec![TaskCondition::Waiting, TaskCondition::Running], ..JobTasks::default() };
        for id in &self.jobs {
            assert!(self.harness.store().tasks_of_job(*id, &waiting, 0, 9).await.unwrap().is_empty());
        }
    }
}

fn keep_their_promises<B: Backend>() {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _shared = runtime.block_on(B::start_shared());
    let mut runner = TestRunner::new(config);
    let histories = proptest::collection::vec(one_move(), 1..LONGEST);
    let outcome = runner.run(&histories, |moves| {
        runtime.block_on(async {
            let mut history = History::<B>::new(B::fresh().await).await;
            for one in &moves {
                history.apply(one).await;
                history.check().await;
                history.harness.pass(Duration::from_secs(1));
            }
            history.drain().await;
            history.check().await;
        });
        Ok(())
    });
    if let Err(broken) = outcome {
        panic!("{broken}");
    }
}

mod postgres {
    #[test]
    fn jobs_keep_their_promises() {
        super::keep_their_promises::<crate::backend::postgres::Postgres>();
    }
}

mod sqlite {
    #[test]
    fn jobs_keep_their_promises() {
        super::keep_their_promises::<crate::backend::sqlite::Sqlite>();
    }
}
