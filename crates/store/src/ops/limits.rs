//! Named limits of groups.
//!
//! A task uses limits while a worker holds it. The leases of the tasks that use a limit never hold more than its value,
//! except after the value was lowered: then no further task starts until they fit.

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, JobId};
use mitosis_domain::name::Name;
use mitosis_protocol::Timestamp;
use mitosis_protocol::limit::LimitInfo;

use crate::StoreError;
use crate::ops::{Actor, Changed};

/// Outcome of [`Limits::remove_limit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitRemoval {
    /// The limit does not exist any more.
    Removed,
    /// Refused: these jobs use it and have not ended; at most [`LISTED_JOBS`].
    InUse(Vec<JobId>),
    /// There is no such limit.
    Unknown,
    /// Refused: the actor is not an Admin of the group.
    Denied,
}

/// The number of jobs that are named as users of a limit.
pub const LISTED_JOBS: u64 = 100;

/// Operations on named limits.
#[async_trait]
pub trait Limits {
    /// Sets the value of a limit, and creates it if there is none. Returns false if the actor is not an Admin of the group.
    async fn set_limit(
        &self,
        by: Actor,
        group: GroupId,
        name: &Name,
        value: u64,
        now: Timestamp,
    ) -> Result<Changed<bool>, StoreError>;

    /// Removes a limit that no unfinished job uses. Tasks of ended jobs that use it don't start when they are retried, until
    /// it is set again.
    async fn remove_limit(
        &self,
        by: Actor,
        group: GroupId,
        name: &str,
        now: Timestamp,
    ) -> Result<LimitRemoval, StoreError>;

    /// Reads the limits of a group, by name, with what is in use.
    async fn limits(&self, group: GroupId) -> Result<Vec<LimitInfo>, StoreError>;
}
