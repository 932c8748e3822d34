//! Workers as the coordinator knows them.

use std::time::Duration;

use mitosis_protocol::admin::AccountState;
use mitosis_protocol::worker::{WorkerFacts, WorkerState};
use mitosis_protocol::{ResourceOffer, ResourceRequest, Timestamp};
use uuid::Uuid;

use crate::ids::{GroupId, UserId, WorkerId};
use crate::limits::MAX_HOST_CHARS;
use crate::resources::Free;
use crate::tags::TagSet;

/// The protocol that a worker speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerKind {
    /// An agent of the native protocol: a registration with many slots, which polls.
    Agent,
    /// A worker of the legacy protocol, which runs one task at a time.
    Legacy,
}

impl WorkerKind {
    /// The kind of a worker that registered with this number of slots, if it named one.
    pub const fn of_slots(slots: Option<u32>) -> Self {
        match slots {
            Some(_) => Self::Agent,
            None => Self::Legacy,
        }
    }
}

/// A registered worker. The record exists as long as the worker does.
#[derive(Debug, Clone, PartialEq)]
pub struct Worker {
    /// The internal id.
    pub id: WorkerId,
    /// The UUID, which is new at every start of the process.
    pub uuid: Uuid,
    /// The name of its machine, if it sent one.
    pub host: Option<String>,
    /// What else it said about itself.
    pub facts: Option<WorkerFacts>,
    /// Why it takes no new tasks, if a user drains it.
    pub drain_reason: Option<String>,
    /// The user who registered it.
    pub creator: UserId,
    /// The name of that user.
    pub creator_name: String,
    /// The account state of that user; a worker ends with its owner.
    pub creator_state: AccountState,
    /// The tags that it offers.
    pub tags: TagSet,
    /// Labels, for queries only.
    pub labels: TagSet,
    /// Whether it accepts tasks.
    pub state: WorkerState,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed, without heartbeats.
    pub updated_at: Timestamp,
    /// The last heartbeat.
    pub last_heartbeat: Timestamp,
    /// After how much silence its tasks are requeued, if it requested that.
    pub lost_after: Option<Duration>,
    /// When it is missed, unless it sends a heartbeat.
    pub missed_at: Timestamp,
    /// When its tasks are requeued, unless it sends a heartbeat.
    pub lost_at: Timestamp,
    /// How many tasks a native worker runs at once; none for a 0.6.8 worker, which runs one.
    pub slots: Option<u32>,
    /// The latest expiry of its tokens; none if it was registered without a lifetime.
    pub token_until: Option<Timestamp>,
    /// The tasks that it holds, oldest first.
    pub held: Vec<Uuid>,
    /// The group of each held task, in the same order.
    pub held_groups: Vec<GroupId>,
    /// What it offers to its tasks; none for a worker that runs only tasks of the default request.
    pub offer: Option<ResourceOffer>,
    /// When it stops to run tasks.
    pub ends_at: Option<Timestamp>,
    /// What each held task requests, in the same order.
    pub held_requests: Vec<ResourceRequest>,
}

/// The host name that a worker sent, without characters that are not for display, and shortened to
/// [`MAX_HOST_CHARS`]; none if nothing is left.
pub fn host_name(sent: &str) -> Option<String> {
    let shown = |character: &char| !character.is_control() && !character.is_whitespace();
    let name: String = sent.chars().filter(shown).take(MAX_HOST_CHARS).collect();
    (!name.is_empty()).then_some(name)
}

/// What a worker said about itself, shortened in the same way.
pub fn facts(sent: &WorkerFacts) -> WorkerFacts {
    WorkerFacts {
        version: sent.version.as_deref().and_then(host_name),
        isolation: sent.isolation.as_deref().and_then(host_name),
        free_space: sent.free_space,
    }
}

impl Worker {
    /// The protocol that it speaks.
    pub const fn kind(&self) -> WorkerKind {
        WorkerKind::of_slots(self.slots)
    }

    /// What its tasks leave of what it offers; none for a worker without an offer.
    pub fn free(&self) -> Option<ResourceOffer> {
        let mut free = Free::of(self.offer.as_ref()?);
        self.held_requests.iter().for_each(|request| free.take(request, 1));
        Some(free.left())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_name_has_no_control_characters_and_a_limit() {
        assert_eq!(host_name("node-17.example").as_deref(), Some("node-17.example"));
        assert_eq!(host_name(" a\u{1b}[31m\nb\0 ").as_deref(), Some("a[31mb"));
        assert_eq!(host_name("\u{9b}\t"), None);
        assert_eq!(host_name(&"ü".repeat(1_000)).unwrap().chars().count(), MAX_HOST_CHARS);
    }
}
