//! Workers: registration, signs of life, what users change about them, and their end.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::account::Membership;
use mitosis_domain::ids::{GroupId, TaskId, UserId, WorkerId};
use mitosis_domain::lease::{LeaseTerms, Moment};
use mitosis_domain::tags::TagSet;
use mitosis_domain::worker::Worker;
use mitosis_protocol::worker::{Machine, ShutdownOp, WorkerState};
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::By;
use crate::ops::query::{FoundWorkers, WorkerPage, WorkerQuery};

/// A worker to be registered.
#[derive(Debug, Clone)]
pub struct NewWorker {
    /// Identity on the wire, version 4.
    pub uuid: Uuid,
    /// Who registers it.
    pub creator: UserId,
    /// What it can do.
    pub tags: TagSet,
    /// For queries only.
    pub labels: TagSet,
    /// Groups with their roles on it, the personal one included.
    pub groups: BTreeMap<GroupId, Role>,
    /// How many tasks an agent of ours runs at once; none for a published worker.
    pub slots: Option<u32>,
    /// What its owner registers it with; asked for again in the transaction.
    pub credential: Option<Credential>,
    /// No token of the worker is valid after this time; none when it was registered without a lifetime.
    pub token_until: Option<Timestamp>,
    /// After how much silence it wants its tasks to be given to others; none for the coordinator's limit.
    pub lost_after: Option<Duration>,
    /// The machine that it runs on, if it said so.
    pub machine: Option<Machine>,
}

/// What a user was let in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A session, by its number.
    Session(i64),
    /// A personal token, by its id. A worker that was registered with one ends with it.
    PersonalToken(i64),
}

/// Outcome of [`Workers::register_worker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It is registered.
    Registered(WorkerId),
    /// The session or the token that it was to be registered with has ended.
    CredentialEnded,
}

/// Why a worker that is gone must not register again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// A user, or a rule that a user made, removed it.
    Removed,
    /// The lifetime that it was registered with ended.
    Expired,
}

impl Departure {
    /// Of a worker that is removed for another reason, and whose lifetime may be over as well.
    pub(crate) fn of_lifetime(token_until: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        token_until.is_some_and(|end| end <= now).then_some(Self::Expired)
    }
}

/// What an attempt that ends without a result counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its worker is lost. A task that loses too many attempts is cancelled
    /// ([`MAX_LOST_ATTEMPTS`](mitosis_domain::limits::MAX_LOST_ATTEMPTS)).
    Lost,
    /// It was given back or taken back in order.
    Returned,
}

impl Fate {
    /// How many attempts the task has lost, after `before`.
    pub(crate) fn losses(self, before: i64) -> i64 {
        match self {
            Self::Lost => before + 1,
            Self::Returned => before,
        }
    }
}

/// What a worker has to be told, and what the store believes it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duties {
    /// Whether it takes tasks.
    pub state: WorkerState,
    /// Its attempts, oldest first.
    pub held: Vec<HeldAttempt>,
}

/// An attempt that a worker should have in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldAttempt {
    /// The task.
    pub task: TaskId,
    /// Which attempt, from 1.
    pub epoch: i64,
    /// When it was given to the worker.
    pub claimed_at: Timestamp,
    /// Whether a user wants the command to be stopped.
    pub stop_asked: bool,
}

/// What became of a worker that was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The record is gone; a task it held is Ready again.
    Removed,
    /// It ends with the task it holds.
    Marked,
    /// There is no such worker.
    Unknown,
    /// The user does not control it; nothing was done.
    NotInControl,
}

/// Outcome of a change of a worker's tags or labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerChange {
    /// It was done.
    Done,
    /// There is no such worker.
    Unknown,
    /// The user does not have Write in a group that has Write on it; nothing was done.
    Denied,
}

/// Outcome of a change of a worker's groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerGroupsChange {
    /// All of it was done.
    Done,
    /// Nothing was done: there is no such group.
    UnknownGroup(String),
    /// Nothing was done: there is no such worker.
    UnknownWorker,
    /// Nothing was done: the user does not control the worker.
    NotInControl,
    /// Nothing was done: the user may not put a worker at the service of this group.
    MayNotServe(String, Membership),
}

/// Workers.
#[async_trait]
pub trait Workers {
    /// Registers a worker; its lease runs until `at.lease + terms.lease`. Groups in which its owner does not have
    /// Write at that moment are passed over. Workers of the same owner on the same machine, from before its last
    /// start, are gone with that start: what they hold is given away as soon as they are missed.
    async fn register_worker(
        &self,
        new: &NewWorker,
        terms: LeaseTerms,
        at: Moment,
    ) -> Result<Registration, StoreError>;

    /// The worker of that UUID.
    async fn worker(&self, uuid: Uuid) -> Result<Option<Worker>, StoreError>;

    /// Groups with their roles on a worker, by group name.
    async fn worker_groups(&self, worker: WorkerId) -> Result<BTreeMap<String, Role>, StoreError>;

    /// The workers that a user has registered.
    async fn workers_of(&self, owner: UserId) -> Result<Vec<Uuid>, StoreError>;

    /// One page of workers that match.
    async fn query_workers(&self, query: &WorkerQuery, page: WorkerPage) -> Result<FoundWorkers, StoreError>;

    /// How many match.
    async fn count_workers(&self, query: &WorkerQuery) -> Result<u64, StoreError>;

    /// Takes signs of life, many at once, each with the terms of the lease from `at` on. Answers which of them are
    /// not registered any more. Need not survive a power failure.
    async fn renew_leases(
        &self,
        signs: &[(WorkerId, LeaseTerms)],
        at: Moment,
    ) -> Result<Vec<WorkerId>, StoreError>;

    /// What each of these workers has to be told. Those that are not registered any more, or whose owner's
    /// account is not Active, are left out.
    async fn duties(&self, workers: &[WorkerId]) -> Result<HashMap<WorkerId, Duties>, StoreError>;

    /// Replaces the tags; in force at its next claim. A user needs Write in a group that has Write on it.
    async fn set_worker_tags(
        &self,
        by: By,
        uuid: Uuid,
        tags: &TagSet,
        now: Timestamp,
    ) -> Result<WorkerChange, StoreError>;

    /// Replaces the labels, with the same right.
    async fn set_worker_labels(
        &self,
        by: By,
        uuid: Uuid,
        labels: &TagSet,
        now: Timestamp,
    ) -> Result<WorkerChange, StoreError>;

    /// Gives groups (by name) roles on a worker; all or nothing. A user must control the worker (Admin in a
    /// group that is Admin on it), and have Write in each group that comes or is given a higher role.
    async fn set_worker_groups(
        &self,
        by: By,
        uuid: Uuid,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<WorkerGroupsChange, StoreError>;

    /// Takes groups (by name) off a worker; all or nothing. Groups not on it are passed over. A user must
    /// control the worker, and what it runs then goes on; or be Admin of each of the groups, and then the
    /// tasks of these groups that it holds are given back at once.
    async fn remove_worker_groups(
        &self,
        by: By,
        uuid: Uuid,
        groups: &[String],
        now: Timestamp,
    ) -> Result<WorkerGroupsChange, StoreError>;

    /// Stops a worker (HTTP contract §11): `Graceful` removes an idle one and marks a busy one, `Force`
    /// removes it and gives its task back. Pending follow-ups of a lost attempt are gone. A user must be
    /// Admin in a group that is Admin on the worker. It is remembered that the worker was removed:
    /// [`Self::departure`].
    async fn stop_worker(
        &self,
        by: By,
        uuid: Uuid,
        op: ShutdownOp,
        now: Timestamp,
    ) -> Result<Stop, StoreError>;

    /// Removes a worker that leaves by itself, or whose end is reported by its guard, and gives its tasks back, like a
    /// forced stop; nothing is remembered. `fate` is that of its attempts.
    async fn sign_off(&self, uuid: Uuid, fate: Fate, now: Timestamp) -> Result<Stop, StoreError>;

    /// Why a worker that is gone must not come back; none for one that was lost, left, or never was.
    async fn departure(&self, uuid: Uuid) -> Result<Option<Departure>, StoreError>;
}
