//! The harness of a test: a store, a clock that only the test advances, and short methods for common steps.

mod invariants;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mitosis_domain::account::Membership;
use mitosis_domain::ids::{GroupId, UserId, WorkerId};
use mitosis_domain::lease::LeaseTerms;
use mitosis_domain::name::Name;
use mitosis_domain::spec;
use mitosis_domain::tags::TagSet;
use mitosis_domain::task::{ExecEnd, Phase, Task};
use mitosis_domain::timeout::Timeout;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{LeaseToken, Role, TaskResult, TaskSpec, Timestamp, WaitStatus};
use mitosis_store::ops::accounts::{NewUser, UserCreation};
use mitosis_store::ops::dispatch::{
    Assigned, Assignment, Claim, Completed, Completion, EndReport, Exchange, Exchanged, Holder,
};
use mitosis_store::ops::groups::GroupCreation;
use mitosis_store::ops::tasks::{NewTask, StopRequested, Submission, TaskIds};
use mitosis_store::ops::workers::{NewWorker, Registration};
use mitosis_store::ops::{Actor, Changed};
use mitosis_store::{Store, StoreError};
use uuid::Uuid;

use crate::backend::Backend;

/// The lease of the workers in the tests.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// A time limit that no count exceeds.
pub(crate) const LONG: Duration = Duration::from_mins(1);
/// A worker is missed at the end of its lease, not before.
pub(crate) const TERMS: LeaseTerms = LeaseTerms { missed_after: LEASE, lease: LEASE };
/// The smallest step of a stored time.
pub(crate) const TICK: Duration = Duration::from_micros(1);
/// The start time of every test, in microseconds since 1970.
const START: i64 = 1_928_423_045_250_000;
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// A store and a clock.
pub(crate) struct Harness<B> {
    backend: B,
    pub(crate) now: Timestamp,
    made: AtomicU64,
}

/// A user and the personal group.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) user: UserId,
    pub(crate) group: GroupId,
}

/// A registered worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RegisteredWorker {
    pub(crate) id: WorkerId,
    pub(crate) uuid: Uuid,
}

/// Tags or labels, separated by blanks.
pub(crate) fn tag_set(text: &str) -> TagSet {
    TagSet::new(text.split_whitespace()).unwrap()
}

/// A name.
pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A timeout of a number of seconds.
pub(crate) fn timeout(seconds: u64) -> Timeout {
    Timeout::new(Duration::from_secs(seconds)).unwrap()
}

/// A result with this exit status and no message.
pub(crate) fn status(exit_status: i32) -> TaskResult {
    TaskResult { exit_status: WaitStatus(exit_status), msg: None }
}

/// The reply to a claim of up to a number of tasks, by an exchange or by a fetch.
#[derive(Debug, PartialEq)]
pub(crate) enum Claimed {
    Assigned(Vec<Assignment>),
    WorkerGone,
    Stopping,
}

impl From<Claim> for Claimed {
    fn from(claim: Claim) -> Self {
        match claim {
            Claim::Assigned(assignment) => Self::Assigned(vec![*assignment]),
            Claim::NoTask => Self::Assigned(Vec::new()),
            Claim::WorkerGone => Self::WorkerGone,
            Claim::Stopping => Self::Stopping,
        }
    }
}

/// The tasks of a successful claim.
pub(crate) fn assigned(claim: impl Into<Claimed>) -> Vec<Assignment> {
    match claim.into() {
        Claimed::Assigned(assignments) => assignments,
        other => panic!("unexpected claim: {other:?}"),
    }
}

/// The value of an operation whose effects are not published.
pub(crate) trait Answer {
    type Value;

    fn answer(self) -> Self::Value;
}

impl<T> Answer for Result<Changed<T>, StoreError> {
    type Value = T;

    fn answer(self) -> T {
        self.unwrap().discard("no requests wait in this test")
    }
}

impl<B: Backend> Harness<B> {
    /// Creates an empty store.
    pub(crate) async fn set_up() -> Self {
        Self::over(B::fresh().await)
    }

    /// Wraps a store that the test has started itself.
    pub(crate) fn over(backend: B) -> Self {
        Self { backend, now: Timestamp::from_unix_micros(START), made: AtomicU64::new(0) }
    }

    /// The store.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.backend.store()
    }

    /// Advances the clock.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Requests to stop one task.
    pub(crate) async fn request_stop(&self, actor: Actor, task: Uuid) -> StopRequested {
        self.store().request_stops(actor, &[task], self.now).await.answer().remove(0)
    }

    /// Restarts the coordinator.
    pub(crate) async fn restart(&mut self) {
        self.backend.reopen().await;
    }

    /// Reads one number with a query.
    pub(crate) async fn scalar(&self, sql: &str) -> i64 {
        self.backend.scalar(sql).await
    }

    /// The number of attempts that the Ready tasks have lost.
    pub(crate) async fn losses_in_line(&self) -> i64 {
        self.scalar("SELECT CAST(sum(losses) AS BIGINT) FROM ready").await
    }

    /// A number that was not returned before.
    pub(crate) fn number(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    /// A UUID of version 4 that was not returned before.
    pub(crate) fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(u128::from(self.number()).to_be_bytes()).into_uuid()
    }

    /// A new account, not created yet.
    pub(crate) fn new_user(text: &str) -> NewUser {
        NewUser { name: name(text), password_hash: format!("$argon2id$hash of {text}"), admin: false }
    }

    /// Creates an account.
    pub(crate) async fn person(&self, text: &str) -> Person {
        let created = self.store().create_user(Actor::System, &Self::new_user(text), self.now).await.unwrap();
        let UserCreation::Created(user) = created else { panic!("{text}: {created:?}") };
        let Membership::Member(group, Role::Admin) = self.store().membership(user, text).await.unwrap()
        else {
            panic!("{text} is not Admin of the personal group")
        };
        Person { name: text.to_owned(), user, group }
    }

    /// Creates a further group of a person.
    pub(crate) async fn group(&self, owner: &Person, text: &str) -> GroupId {
        match self.store().create_group(owner.user, &name(text), self.now).await.unwrap() {
            GroupCreation::Created(group) => group,
            other => panic!("{text}: {other:?}"),
        }
    }

    /// A plain task, not submitted yet.
    pub(crate) fn task(&self, group: GroupId) -> NewTask {
        NewTask {
            uuid: self.uuid(),
            group,
            tags: TagSet::default(),
            labels: TagSet::default(),
            timeout: timeout(600),
            priority: 0,
            spec: TaskSpec { args: vec!["true".to_owned()], ..TaskSpec::default() },
        }
    }

    /// Submits tasks that must be accepted. Their creator becomes a member of their groups.
    pub(crate) async fn submit(&self, creator: &Person, tasks: &[NewTask]) -> Vec<TaskIds> {
        let mut groups: BTreeSet<GroupId> = tasks.iter().map(|task| task.group).collect();
        let named: Vec<Uuid> = tasks.iter().flat_map(|task| spec::referenced_tasks(&task.spec)).collect();
        groups.extend(self.store().tasks(&named).await.unwrap().iter().map(|task| task.group));
        for group in groups.into_iter().filter(|group| *group != creator.group) {
            self.let_in(creator.user, group).await;
        }
        match self.store().submit(creator.user, tasks, None, self.now).await.answer() {
            Submission::Accepted(ids) => ids,
            other => panic!("unexpected submission: {other:?}"),
        }
    }

    /// Submits one plain task to the personal group.
    pub(crate) async fn submit_one(&self, creator: &Person) -> Uuid {
        self.submit(creator, &[self.task(creator.group)]).await[0].uuid
    }

    /// Reads a task.
    pub(crate) async fn get(&self, uuid: Uuid) -> Task {
        self.store().task(uuid).await.unwrap().expect("the task is there")
    }

    /// Reads the state of a task.
    pub(crate) async fn phase(&self, uuid: Uuid) -> Phase {
        self.get(uuid).await.phase
    }

    /// A worker, not registered yet; the owner's group is Admin on it.
    pub(crate) fn new_worker(&self, owner: &Person) -> NewWorker {
        NewWorker {
            uuid: self.uuid(),
            creator: owner.user,
            tags: TagSet::default(),
            labels: TagSet::default(),
            groups: BTreeMap::from([(owner.group, Role::Admin)]),
            slots: None,
            credential: None,
            token_until: None,
            lost_after: None,
            host: None,
            facts: None,
            machine: None,
            offer: None,
            ends_at: None,
        }
    }

    /// Registers a worker. Its owner becomes a member of its groups.
    pub(crate) async fn register(&self, new: &NewWorker) -> RegisteredWorker {
        for group in new.groups.keys() {
            self.let_in(new.creator, *group).await;
        }
        match self.store().register_worker(new, TERMS, self.now.into()).await.unwrap() {
            Registration::Registered(id) => RegisteredWorker { id, uuid: new.uuid },
            ended @ Registration::CredentialEnded => panic!("unexpected registration: {ended:?}"),
        }
    }

    /// Makes a user a member with Write, unless it is one already, with a statement that bypasses the store.
    pub(crate) async fn let_in(&self, user: UserId, group: GroupId) {
        let insert = format!(
            "INSERT INTO membership (user_id, group_id, role) VALUES ({}, {}, 1)
             ON CONFLICT (user_id, group_id) DO UPDATE SET role = membership.role RETURNING group_id",
            user.0, group.0
        );
        self.scalar(&insert).await;
    }

    /// Registers a worker without tags for the owner's group.
    pub(crate) async fn worker(&self, owner: &Person) -> RegisteredWorker {
        self.register(&self.new_worker(owner)).await
    }

    /// Claims up to `count` tasks.
    pub(crate) async fn claim(&self, worker: RegisteredWorker, count: usize) -> Vec<Assignment> {
        assigned(self.ask(worker, count, self.token()).await)
    }

    /// Claims up to `count` tasks by an exchange, and reads them.
    pub(crate) async fn ask(&self, worker: RegisteredWorker, count: usize, token: LeaseToken) -> Claimed {
        let mut assigned = Vec::new();
        match self.exchange_one(Exchange { want: count, token, ..self.nothing(worker) }).await.assigned {
            Assigned::WorkerGone => return Claimed::WorkerGone,
            Assigned::Stopping => return Claimed::Stopping,
            Assigned::Work(work, _) => {
                for one in work {
                    assigned.push(Assignment { task: self.get(one.uuid).await, lease: one.lease });
                }
            }
        }
        Claimed::Assigned(assigned)
    }

    /// An empty exchange.
    pub(crate) fn nothing(&self, worker: RegisteredWorker) -> Exchange {
        let (ended, returned) = (vec![], vec![]);
        Exchange { worker: worker.id, ended, returned, want: 0, has_room: false, token: self.token() }
    }

    /// Runs the exchange of one agent.
    pub(crate) async fn exchange_one(&self, one: Exchange) -> Exchanged {
        let outcome = self.store().exchange(&[one.into()], self.now.into()).await.answer();
        let [exchanged] = <[Exchanged; 1]>::try_from(outcome).unwrap();
        exchanged
    }

    /// Claims a task; one must be Ready.
    pub(crate) async fn claim_one(&self, worker: RegisteredWorker) -> Assignment {
        self.claim(worker, 1).await.pop().expect("a task is waiting")
    }

    /// A token that was not returned before.
    pub(crate) fn token(&self) -> LeaseToken {
        LeaseToken(1_000_000 + i64::try_from(self.number()).unwrap())
    }

    /// Reports how the command ended.
    pub(crate) async fn report(&self, holder: Holder, end: ExecEnd) -> EndReport {
        self.store().report_end(holder, end, self.now).await.answer()
    }

    /// Commits an attempt whose end was reported.
    pub(crate) async fn commit(&self, holder: Holder, result: TaskResult) -> Completed {
        self.complete(Completion { holder, end: None, result }).await
    }

    /// Commits an attempt.
    pub(crate) async fn complete(&self, completion: Completion) -> Completed {
        let outcomes = self.store().complete(&[completion], self.now).await.answer();
        assert_eq!(outcomes.len(), 1);
        outcomes[0]
    }

    /// Commits an attempt as Finished.
    pub(crate) async fn finish(&self, held: &Assignment) {
        let completion =
            Completion { holder: Holder::Lease(held.lease), end: Some(ExecEnd::Finished), result: status(0) };
        assert_eq!(self.complete(completion).await, Completed::Committed);
    }

    /// The charged storage of a group.
    pub(crate) async fn used(&self, group_name: &str) -> i64 {
        self.store().group(group_name).await.unwrap().expect("the group is there").storage_used
    }

    /// Sets the state of a group with a statement that bypasses the store, since no operation does.
    pub(crate) async fn set_group_state(&self, group_name: &str, state: AccountState) {
        let code = match state {
            AccountState::Active => 0,
            AccountState::Locked => 1,
            AccountState::Deleted => 2,
        };
        let update = format!("UPDATE groups SET state = {code} WHERE name = '{group_name}' RETURNING id");
        self.scalar(&update).await;
        assert_eq!(self.store().group(group_name).await.unwrap().unwrap().state, state);
    }
}
