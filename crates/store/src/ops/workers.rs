//! Workers: registration, heartbeats, changes by users, and removal.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::account::Membership;
use mitosis_domain::ids::{GroupId, TaskId, UserId, WorkerId};
use mitosis_domain::lease::{LeaseTerms, Moment};
use mitosis_domain::tags::TagSet;
use mitosis_domain::worker::Worker;
use mitosis_protocol::worker::{Machine, ShutdownOp, WorkerFacts, WorkerState};
use mitosis_protocol::{Epoch, ResourceOffer, Role, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::query::{FoundWorkers, WorkerPage, WorkerQuery};
use crate::ops::{Actor, Changed};

/// A new worker.
#[derive(Debug, Clone)]
pub struct NewWorker {
    /// The UUID, version 4.
    pub uuid: Uuid,
    /// The user who registers it.
    pub creator: UserId,
    /// The tags that it offers.
    pub tags: TagSet,
    /// Labels, for queries only.
    pub labels: TagSet,
    /// The groups with their roles on the worker, including the personal one.
    pub groups: BTreeMap<GroupId, Role>,
    /// How many tasks a native worker runs at once; none for a legacy worker.
    pub slots: Option<u32>,
    /// The credential of its owner, which is checked again in the transaction.
    pub credential: Option<Credential>,
    /// When all tokens of the worker expire; none without a limit on its lifetime.
    pub token_until: Option<Timestamp>,
    /// After how much silence its tasks are requeued; none for the coordinator's limit.
    pub lost_after: Option<Duration>,
    /// The name of the machine that it runs on, if known.
    pub host: Option<String>,
    /// What else it says about itself; kept if the name of the machine is known.
    pub facts: Option<WorkerFacts>,
    /// The machine that it runs on, if known.
    pub machine: Option<Machine>,
    /// What it offers; without an offer, it gets only tasks of the default request.
    pub offer: Option<ResourceOffer>,
    /// When it stops to run tasks: it gets only those that end before.
    pub ends_at: Option<Timestamp>,
}

/// The credential of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A session, by its number.
    Session(i64),
    /// A personal token, by its id. A worker that was registered with it ends with it.
    PersonalToken(i64),
}

/// Outcome of [`Workers::register_worker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// The worker is registered.
    Registered(WorkerId),
    /// Refused: the session or the token has ended.
    CredentialEnded,
}

/// The reason why a removed worker must not register again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// A user, or a rule that a user made, removed it.
    Removed,
    /// Its lifetime ended.
    Expired,
}

impl Departure {
    /// The departure of a worker that is removed for another reason, if its lifetime has also ended.
    pub(crate) fn of_lifetime(token_until: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        token_until.is_some_and(|end| end <= now).then_some(Self::Expired)
    }
}

/// How an attempt without a result counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its worker was lost. A task that loses too many attempts is cancelled
    /// ([`MAX_LOST_ATTEMPTS`](mitosis_domain::limits::MAX_LOST_ATTEMPTS)).
    WorkerLost,
    /// It was returned in an orderly way.
    Returned,
}

impl Fate {
    /// The number of lost attempts of the task, after `before`.
    pub(crate) fn losses(self, before: i64) -> i64 {
        match self {
            Self::WorkerLost => before + 1,
            Self::Returned => before,
        }
    }
}

/// The state of a worker and the attempts that it holds, for a comparison with what the worker reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAttempts {
    /// Whether it takes tasks.
    pub state: WorkerState,
    /// The attempts that it holds, oldest first.
    pub attempts: Vec<HeldAttempt>,
}

/// An attempt that a worker holds according to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldAttempt {
    /// The task.
    pub task: TaskId,
    /// The number of the attempt, from 1.
    pub epoch: Epoch,
    /// When the worker claimed it.
    pub claimed_at: Timestamp,
    /// Whether a user has requested to stop the command.
    pub stop_asked: bool,
}

/// Outcome of a request to stop a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The worker was removed, and its tasks are Ready again.
    Removed,
    /// The worker is draining.
    Marked,
    /// There is no such worker.
    Unknown,
    /// Refused: the user does not control the worker.
    NotInControl,
}

/// Outcome of a change of a worker's tags or labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerChange {
    /// The change was made.
    Done,
    /// There is no such worker.
    Unknown,
    /// Refused: the user does not have Write in a group that has Write on the worker.
    Denied,
}

/// Outcome of a change of a worker's groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerGroupsChange {
    /// The change was made.
    Done,
    /// Refused: this group does not exist.
    UnknownGroup(String),
    /// There is no such worker.
    UnknownWorker,
    /// Refused: the user does not control the worker.
    NotInControl,
    /// Refused: the user may not let a worker serve this group.
    MayNotServe(String, Membership),
}

/// Operations on workers.
#[async_trait]
pub trait Workers {
    /// Registers a worker; its lease runs until `at.lease + terms.lease`. Groups in which its owner lacks Write
    /// are skipped. Workers of the same owner from an earlier boot of the same machine can't be alive, so their
    /// tasks are requeued as soon as they are missed.
    async fn register_worker(
        &self,
        new: &NewWorker,
        terms: LeaseTerms,
        at: Moment,
    ) -> Result<Registration, StoreError>;

    /// Reads the worker with this UUID.
    async fn worker(&self, uuid: Uuid) -> Result<Option<Worker>, StoreError>;

    /// Reads the groups with their roles on a worker, by group name.
    async fn worker_groups(&self, worker: WorkerId) -> Result<BTreeMap<String, Role>, StoreError>;

    /// Reads the workers that a user has registered.
    async fn workers_of(&self, owner: UserId) -> Result<Vec<Uuid>, StoreError>;

    /// Reads one page of matching workers.
    async fn query_workers(&self, query: &WorkerQuery, page: WorkerPage) -> Result<FoundWorkers, StoreError>;

    /// Counts the matching workers.
    async fn count_workers(&self, query: &WorkerQuery) -> Result<u64, StoreError>;

    /// Renews the leases of many workers from `at` on, each with its terms. Returns the workers that are not
    /// registered any more. The renewals need not survive a power failure.
    async fn renew_leases(
        &self,
        heartbeats: &[(WorkerId, LeaseTerms)],
        at: Moment,
    ) -> Result<Vec<WorkerId>, StoreError>;

    /// Reads the state and the held attempts of each of these workers. Workers that are no longer registered, or whose
    /// owner's account is not Active, are left out.
    async fn held_attempts(
        &self,
        workers: &[WorkerId],
    ) -> Result<HashMap<WorkerId, HeldAttempts>, StoreError>;

    /// Replaces the tags; they apply to the next claim. A user needs Write in a group that has Write on the
    /// worker.
    async fn set_worker_tags(
        &self,
        actor: Actor,
        uuid: Uuid,
        tags: &TagSet,
        now: Timestamp,
    ) -> Result<Changed<WorkerChange>, StoreError>;

    /// Replaces the labels. A user needs the same right as for tags.
    async fn set_worker_labels(
        &self,
        actor: Actor,
        uuid: Uuid,
        labels: &TagSet,
        now: Timestamp,
    ) -> Result<WorkerChange, StoreError>;

    /// Gives groups (by name) roles on a worker; all or nothing. A user must control the worker (Admin in a
    /// group that is Admin on it), and have Write in each group that is added or gets a higher role.
    async fn set_worker_groups(
        &self,
        actor: Actor,
        uuid: Uuid,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<Changed<WorkerGroupsChange>, StoreError>;

    /// Removes groups (by name) from a worker; all or nothing. Groups that are not on it are ignored. A user
    /// must either control the worker, and then its running tasks continue, or be Admin of each of the groups,
    /// and then the tasks of these groups that it holds are requeued at once.
    async fn remove_worker_groups(
        &self,
        actor: Actor,
        uuid: Uuid,
        groups: &[String],
        now: Timestamp,
    ) -> Result<Changed<WorkerGroupsChange>, StoreError>;

    /// Stops a worker (HTTP contract §11). `Graceful` removes an idle worker and drains a busy one, `Force`
    /// removes it and requeues its tasks. Pending follow-ups of its attempts are deleted. A user must be Admin
    /// in a group that is Admin on the worker. The removal is recorded; see [`Self::departure`].
    async fn stop_worker(
        &self,
        actor: Actor,
        uuid: Uuid,
        op: ShutdownOp,
        now: Timestamp,
    ) -> Result<Changed<Stop>, StoreError>;

    /// Lets a worker take no more tasks for a reason, or take tasks again without one. It stays registered, and finishes
    /// the tasks that it holds. A user must be Admin in a group that is Admin on the worker.
    async fn drain_worker(
        &self,
        actor: Actor,
        uuid: Uuid,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Changed<WorkerChange>, StoreError>;

    /// Removes a worker that leaves by itself, or whose end its guard reports, and requeues its tasks, like a
    /// forced stop; the removal is not recorded. `fate` is that of its attempts.
    async fn sign_off(&self, uuid: Uuid, fate: Fate, now: Timestamp) -> Result<Changed<Stop>, StoreError>;

    /// Reads why a removed worker must not register again; none for one that was lost, left by itself, or never
    /// existed.
    async fn departure(&self, uuid: Uuid) -> Result<Option<Departure>, StoreError>;
}
