//! What a store can do. One trait per subject, together [`Store`].
//!
//! All operations take the time as an argument; none reads a clock. Identities (`UserId`, `TaskId`)
//! come from earlier answers of the same store. An operation on several items is one transaction
//! unless its text says otherwise.

pub mod accounts;
pub mod artifacts;
pub mod attachments;
pub mod audit;
pub mod dispatch;
pub mod events;
pub mod expected_uploads;
pub mod explain;
pub mod groups;
pub mod notifications;
pub mod personal_tokens;
pub mod query;
pub mod reaper;
pub mod retention;
pub mod sweeps;
pub mod tasks;
pub mod uploads;
pub mod workers;

use async_trait::async_trait;
use mitosis_domain::ids::UserId;

pub use accounts::Accounts;
pub use artifacts::Artifacts;
pub use attachments::Attachments;
pub use audit::Audit;
pub use dispatch::Dispatch;
pub use events::Events;
pub use expected_uploads::ExpectedUploads;
pub use explain::Explain;
pub use groups::Groups;
pub use notifications::Notifications;
pub use personal_tokens::PersonalTokens;
pub use reaper::Reaper;
pub use retention::Retention;
pub use sweeps::Sweeps;
pub use tasks::Tasks;
pub use uploads::Uploads;
pub use workers::Workers;

use crate::StoreError;

/// On whose behalf an operation is done. The right to it is looked at inside the operation's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A user, who needs the role for it in the group concerned.
    User(UserId),
    /// An administrator of the site, who must still be one.
    Administrator(UserId),
    /// The coordinator itself, or the worker that it is about.
    Site,
}

/// Outcome of an operation that only administrators may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Administered<T> {
    /// It was done.
    Done(T),
    /// Nothing was done: there is no such user or group.
    Unknown,
    /// Nothing was done: who asked is no administrator any more.
    Denied,
}

impl By {
    /// As a parameter of a statement: NULL needs no right.
    pub(crate) fn code(self) -> Option<i64> {
        match self {
            // An administrator who was not looked up has no more rights than other users.
            Self::User(user) | Self::Administrator(user) => Some(user.0),
            Self::Site => None,
        }
    }
}

/// Versions of the database's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaVersion {
    /// That of the database.
    pub found: i64,
    /// The latest that this program can bring a database to.
    pub known: i64,
}

/// All operations together; what the coordinator holds as `Arc<dyn Store>`.
#[async_trait]
pub trait Store:
    Accounts
    + Groups
    + Tasks
    + Dispatch
    + Reaper
    + Retention
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
    + Notifications
    + Send
    + Sync
    + std::fmt::Debug
{
    /// Proves that the database answers. For health checks: cheap, and true.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Which version the schema has, and which this program was made for. They differ when a later
    /// program has brought the database further, or an earlier backup was put back under a running one.
    async fn schema(&self) -> Result<SchemaVersion, StoreError>;

    /// Lets what is under way end, then lets go of the database. Later operations fail with
    /// [`StoreError::Closed`].
    async fn close(&self);
}
