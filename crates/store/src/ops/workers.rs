//! Workers: registration, signs of life, what users change about them, and their end.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, TaskId, UserId, WorkerId};
use mitosis_domain::tags::Words;
use mitosis_domain::worker::Worker;
use mitosis_protocol::worker::{ShutdownOp, WorkerState};
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use crate::Fault;
use crate::ops::query::WorkerQuery;

/// A worker to be registered.
#[derive(Debug, Clone)]
pub struct NewWorker {
    /// Identity on the wire, version 4.
    pub uuid: Uuid,
    /// Who registers it.
    pub creator: UserId,
    /// What it can do.
    pub tags: Words,
    /// For queries only.
    pub labels: Words,
    /// Groups with their roles on it, the personal one included.
    pub groups: BTreeMap<GroupId, Role>,
    /// How many tasks an agent of ours runs at once; none for a published worker.
    pub slots: Option<u32>,
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
}

/// Workers.
#[async_trait]
pub trait Workers {
    /// Registers a worker; its lease runs until `now + lease`.
    async fn register_worker(
        &self,
        new: &NewWorker,
        lease: Duration,
        now: Timestamp,
    ) -> Result<WorkerId, Fault>;

    /// The worker of that UUID.
    async fn worker(&self, uuid: Uuid) -> Result<Option<Worker>, Fault>;

    /// Groups with their roles on a worker, by group name.
    async fn worker_groups(&self, worker: WorkerId) -> Result<BTreeMap<String, Role>, Fault>;

    /// Workers that match, oldest first.
    async fn query_workers(&self, query: &WorkerQuery) -> Result<Vec<Worker>, Fault>;

    /// Takes signs of life, many at once, each with the time for which the worker may be silent from
    /// `now` on. Answers which of them are not registered any more. Need not survive a power failure.
    async fn renew_leases(
        &self,
        signs: &[(WorkerId, Duration)],
        now: Timestamp,
    ) -> Result<Vec<WorkerId>, Fault>;

    /// What each of these workers has to be told. Those that are not registered any more, or whose owner's
    /// account is not Active, are left out.
    async fn duties(&self, workers: &[WorkerId]) -> Result<HashMap<WorkerId, Duties>, Fault>;

    /// Replaces the tags; in force at its next claim. False when there is no such worker.
    async fn set_worker_tags(&self, uuid: Uuid, tags: &Words, now: Timestamp) -> Result<bool, Fault>;

    /// Replaces the labels. False when there is no such worker.
    async fn set_worker_labels(&self, uuid: Uuid, labels: &Words, now: Timestamp) -> Result<bool, Fault>;

    /// Gives groups (by name) roles on a worker; all or nothing.
    async fn set_worker_groups(
        &self,
        uuid: Uuid,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<WorkerGroupsChange, Fault>;

    /// Takes groups (by name) off a worker; all or nothing. Groups not on it are passed over.
    async fn remove_worker_groups(
        &self,
        uuid: Uuid,
        groups: &[String],
        now: Timestamp,
    ) -> Result<WorkerGroupsChange, Fault>;

    /// Stops a worker (HTTP contract §11): `Graceful` removes an idle one and marks a busy one, `Force`
    /// removes it and gives its task back. Pending follow-ups of a lost attempt are gone.
    async fn stop_worker(&self, uuid: Uuid, op: ShutdownOp, now: Timestamp) -> Result<Stop, Fault>;
}
