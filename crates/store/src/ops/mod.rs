//! The operations of a store: one trait per subject, combined in [`Store`].
//!
//! All operations take the time as an argument; none reads a clock. Ids (`UserId`, `TaskId`) come from earlier
//! replies of the same store. An operation on several items is one transaction unless its documentation says
//! otherwise.

pub mod accounts;
pub mod artifacts;
pub mod attachments;
pub mod audit;
pub mod changed;
pub mod dispatch;
pub mod events;
pub mod expected_uploads;
pub mod explain;
pub mod groups;
pub mod jobs;
pub mod limits;
pub mod notifications;
pub mod outputs;
pub mod packing;
pub mod personal_tokens;
pub mod query;
pub mod reaper;
pub mod retention;
pub mod schedules;
pub mod secrets;
pub mod site;
pub mod sweeps;
pub mod tasks;
pub mod uploads;
pub mod webhooks;
pub mod workers;

use async_trait::async_trait;
use mitosis_domain::ids::UserId;

pub use accounts::Accounts;
pub use artifacts::Artifacts;
pub use attachments::Attachments;
pub use audit::Audit;
pub use changed::{Changed, Effects};
pub use dispatch::Dispatch;
pub use events::Events;
pub use expected_uploads::ExpectedUploads;
pub use explain::Explain;
pub use groups::Groups;
pub use jobs::Jobs;
pub use limits::Limits;
pub use notifications::Notifications;
pub use outputs::Outputs;
pub use packing::Packing;
pub use personal_tokens::PersonalTokens;
pub use reaper::Reaper;
pub use retention::Retention;
pub use schedules::Schedules;
pub use secrets::Secrets;
pub use site::Site;
pub use sweeps::Sweeps;
pub use tasks::Tasks;
pub use uploads::Uploads;
pub use webhooks::Webhooks;
pub use workers::Workers;

use crate::{PoolStatus, StoreError};

/// The actor of an operation. Its rights are checked inside the operation's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A user, who needs the required role in the group.
    User(UserId),
    /// An administrator, who must still be one.
    Administrator(UserId),
    /// The coordinator itself, or the worker that the operation is about.
    System,
}

/// Outcome of an operation that only administrators may perform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Administered<T> {
    /// The operation was performed.
    Done(T),
    /// There is no such user or group.
    Unknown,
    /// Refused: the actor is not an administrator any more.
    Denied,
}

impl Actor {
    /// The id as a parameter of a statement; NULL needs no rights.
    pub(crate) fn code(self) -> Option<i64> {
        match self {
            // An administrator whose rights were not checked has no more rights than a user.
            Self::User(user) | Self::Administrator(user) => Some(user.0),
            Self::System => None,
        }
    }
}

/// The schema versions of the database and of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The version of the database.
    pub found: i64,
    /// The latest version that this program supports.
    pub known: i64,
}

/// All operations together; the coordinator holds them as `Arc<dyn Store>`.
#[async_trait]
pub trait Store:
    Accounts
    + Groups
    + Jobs
    + Limits
    + Tasks
    + Dispatch
    + Reaper
    + Retention
    + Schedules
    + Secrets
    + Site
    + Sweeps
    + Workers
    + Artifacts
    + Attachments
    + Uploads
    + ExpectedUploads
    + PersonalTokens
    + Audit
    + Events
    + Explain
    + Outputs
    + Packing
    + Notifications
    + Webhooks
    + Send
    + Sync
    + std::fmt::Debug
{
    /// Checks that the database responds. It is a cheap but real statement, for health checks.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Reads the schema version. It differs from the known one if a later program has upgraded the database, or
    /// an earlier backup was restored under a running program.
    async fn schema(&self) -> Result<SchemaVersion, StoreError>;

    /// The pools of connections, if the database has any.
    fn pools(&self) -> Vec<PoolStatus> {
        Vec::new()
    }

    /// Waits for running operations, then closes the database. Later operations fail with
    /// [`StoreError::Closed`].
    async fn close(&self);
}
