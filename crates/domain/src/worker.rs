//! Workers as the coordinator knows them.

use std::time::Duration;

use mitosis_protocol::Timestamp;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::worker::WorkerState;
use uuid::Uuid;

use crate::ids::{GroupId, UserId, WorkerId};
use crate::tags::Words;

/// A registered worker. The record goes when the worker does.
#[derive(Debug, Clone, PartialEq)]
pub struct Worker {
    /// Internal identity.
    pub id: WorkerId,
    /// Identity on the wire; new at every start of the process.
    pub uuid: Uuid,
    /// Who registered it.
    pub creator: UserId,
    /// Name of that user.
    pub creator_name: String,
    /// State of that user's account; a worker dies with its owner.
    pub creator_state: AccountState,
    /// What it can do.
    pub tags: Words,
    /// For queries only.
    pub labels: Words,
    /// Whether it takes tasks.
    pub state: WorkerState,
    /// Registration.
    pub created_at: Timestamp,
    /// Last change; heartbeats do not count.
    pub updated_at: Timestamp,
    /// Last sign of life.
    pub last_heartbeat: Timestamp,
    /// After how much silence it wants its tasks to be given to others, if it said so.
    pub lost_after: Option<Duration>,
    /// When it is missed, unless it is heard of again.
    pub missed_at: Timestamp,
    /// When its tasks are given away, unless it is heard of again.
    pub lost_at: Timestamp,
    /// How many tasks an agent of ours runs at once; none for a published worker, which runs one.
    pub slots: Option<u32>,
    /// No token of it is valid after this time; none when it was registered without a lifetime.
    pub token_until: Option<Timestamp>,
    /// Tasks it holds, oldest first.
    pub held: Vec<Uuid>,
    /// The group of each of these, in the same order.
    pub held_groups: Vec<GroupId>,
}
