//! Lists of everything on a site, for its administrators. Pages are in the order of ids.

use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::account::User;
use mitosis_domain::ids::{GroupId, JobId, UserId};
use mitosis_protocol::Timestamp;
use mitosis_protocol::activity::ActivityMinute;
use mitosis_protocol::admin::{AccountState, UsageCounts};

use super::jobs::Job;
use super::query::{FoundWorkers, WorkerPage};
use crate::StoreError;

/// A user in the list of all users.
#[derive(Debug, Clone)]
pub struct ListedUser {
    /// The account.
    pub user: User,
    /// The last login.
    pub last_login_at: Option<Timestamp>,
}

/// A group in the list of all groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The internal id.
    pub id: GroupId,
    /// The name.
    pub name: String,
    /// The name of the user who created it.
    pub creator_name: String,
    /// The state.
    pub state: AccountState,
    /// The number of members.
    pub members: u64,
    /// The number of tasks that were submitted.
    pub tasks: u64,
    /// Bytes that it may store.
    pub storage_quota: i64,
    /// Bytes that it stores.
    pub storage_used: i64,
    /// Its share of slot time, in relation to other groups.
    pub weight: u32,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Selects jobs of all groups.
#[derive(Debug, Clone, Default)]
pub struct AllJobs {
    /// Only jobs of this user.
    pub creator: Option<String>,
    /// Only jobs of this group.
    pub group: Option<String>,
    /// Only jobs that have not ended.
    pub active: bool,
    /// Only jobs before this one.
    pub before: Option<JobId>,
    /// The maximum number of rows.
    pub limit: u64,
}

/// What one user has used in one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The name of the user.
    pub user: String,
    /// The name of the group.
    pub group: String,
    /// The attempts that ended.
    pub counts: UsageCounts,
}

/// The attempts of a group that ended within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinuteOfGroup {
    /// The number of the minute since the epoch.
    pub minute: i64,
    /// The group.
    pub group: GroupId,
    /// The attempts that ended.
    pub counts: ActivityMinute,
}

/// Lists for administrators, and sums over all groups.
#[async_trait]
pub trait Site {
    /// Reads users after this one.
    async fn all_users(&self, after: Option<UserId>, limit: u64) -> Result<Vec<ListedUser>, StoreError>;

    /// Reads groups after this one.
    async fn all_groups(&self, after: Option<GroupId>, limit: u64) -> Result<Vec<ListedGroup>, StoreError>;

    /// Reads one page of all workers, oldest first.
    async fn all_workers(&self, page: WorkerPage) -> Result<FoundWorkers, StoreError>;

    /// Reads jobs of all groups, newest first.
    async fn all_jobs(&self, query: &AllJobs) -> Result<Vec<Job>, StoreError>;

    /// Sums up the attempts that ended from `since` on and before `until`, by user and group. It reads the ends of this
    /// time by their index, and returns `None` if that takes longer than about `within`.
    async fn usage(
        &self,
        since: Timestamp,
        until: Timestamp,
        within: Duration,
    ) -> Result<Option<Vec<Usage>>, StoreError>;

    /// Counts the attempts that ended from `since` on and before `until`, by minute and group. It reads the ends of this time
    /// by their index, and returns `None` if that takes longer than about `within`.
    async fn activity(
        &self,
        since: Timestamp,
        until: Timestamp,
        within: Duration,
    ) -> Result<Option<Vec<MinuteOfGroup>>, StoreError>;
}
