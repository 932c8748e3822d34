//! Site administration (§6).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::JobInfo;
use crate::worker::WorkerInfo;
use crate::{Md5Password, Timestamp, timestamp};

/// The state of a user or a group (§2.1). Any state but `Active` refuses every call of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum AccountState {
    /// The account is usable.
    Active,
    /// The account is locked until it is made active again.
    Locked,
    /// The account is deleted. Its name stays reserved, and it can be made active again.
    Deleted,
}

/// `POST /admin/users`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateUserRequest {
    /// Account name: 1 to 255 of `A-Z a-z 0-9 - _`.
    pub username: String,
    /// Digest of the first password.
    pub md5_password: Md5Password,
    /// Whether the account may use `/admin`.
    pub admin: bool,
}

/// `POST /admin/users/{username}/password`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResetPasswordRequest {
    /// Digest of the password to set.
    pub new_md5_password: Md5Password,
    /// Also revoke the account's personal tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoke_tokens: bool,
}

/// `POST /admin/users/{username}/state`, and the reply to it and to a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountStateBody {
    /// The state to set, or the state now in force.
    pub state: AccountState,
}

/// `POST /admin/users/{username}/group-quota`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GroupQuotaRequest {
    /// `n` or `=n` sets, `+n` adds, `-n` subtracts.
    pub group_quota: String,
}

/// Reply to a change of the group quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupQuotaReply {
    /// How many groups the user may create, including the personal one.
    pub group_quota: i32,
}

/// `POST /admin/groups/{group}/storage-quota`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StorageQuotaRequest {
    /// A byte size such as `16GB`; `=` sets, `+` adds, `-` subtracts.
    pub storage_quota: String,
}

/// Reply to a change of the storage quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageQuotaReply {
    /// Bytes the group may store.
    pub storage_quota: i64,
}

/// The largest weight of a group.
pub const MAX_WEIGHT: u32 = 1_000;

/// `PUT /v1/admin/groups/{group}/weight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WeightRequest {
    /// The share of slot time of the group, in relation to other groups: 1 to [`MAX_WEIGHT`]. Groups have 1 unless it was
    /// changed.
    pub weight: u32,
}

/// `POST /admin/shutdown`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ShutdownRequest {
    /// The secret from the coordinator's log.
    pub secret: String,
}

/// `GET /v1/admin/users`: a page of all users, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsersReply {
    /// The users.
    pub users: Vec<UserSummary>,
    /// `after` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// A user in the list of all users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserSummary {
    /// Account name.
    pub username: String,
    /// Whether the account may use `/admin`.
    pub admin: bool,
    /// Whether the account is usable.
    pub state: AccountState,
    /// How many groups the user may create, including the personal one.
    pub group_quota: i32,
    /// How many groups the user has created.
    pub group_count: i32,
    /// When the account was created.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub created_at: Timestamp,
    /// The last login; null if there was none.
    #[serde(default, with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub last_login_at: Option<Timestamp>,
}

/// `GET /v1/admin/groups`: a page of all groups, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupsReply {
    /// The groups.
    pub groups: Vec<GroupSummary>,
    /// `after` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// A group in the list of all groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupSummary {
    /// The name.
    pub group_name: String,
    /// The name of the user who created it.
    pub creator_username: String,
    /// Whether the group is usable.
    pub state: AccountState,
    /// The number of members.
    pub members: u64,
    /// The number of tasks that were submitted to it.
    pub tasks: u64,
    /// Bytes that it may store.
    pub storage_quota: i64,
    /// Bytes that it stores.
    pub storage_used: i64,
    /// Its share of slot time, in relation to other groups.
    #[serde(default = "usual_weight")]
    pub weight: u32,
    /// When it was created.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub created_at: Timestamp,
}

const fn usual_weight() -> u32 {
    1
}

/// `GET /v1/admin/workers`: a page of all workers, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteWorkersReply {
    /// The workers.
    pub workers: Vec<SiteWorker>,
    /// `after` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// A worker in the list of all workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteWorker {
    /// The worker.
    #[serde(flatten)]
    pub worker: WorkerInfo,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// How many tasks it holds: a native worker takes some before it has a free slot.
    pub held_tasks: u64,
}

/// `GET /v1/admin/jobs`: a page of the jobs of all groups, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SiteJobsReply {
    /// The jobs.
    pub jobs: Vec<JobInfo>,
    /// `before` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// `GET /v1/admin/usage`: what users have used in groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageReply {
    /// The beginning of the time.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub since: Timestamp,
    /// Its end.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub until: Timestamp,
    /// One row for each user and group with attempts that ended in this time.
    pub usage: Vec<UsageRow>,
}

/// What a user has used in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageRow {
    /// The name of the user who submitted the tasks.
    pub username: String,
    /// The name of the group.
    pub group_name: String,
    /// The attempts.
    #[serde(flatten)]
    pub counts: UsageCounts,
}

/// Attempts that ended: each run of a task, or its cancellation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageCounts {
    /// The time from the assignment of an attempt to its end, in seconds, of all together. Each attempt has one slot.
    /// Attempts that were lost with their worker do not count.
    pub slot_seconds: u64,
    /// The processor time of these attempts, in seconds, as far as workers measured it.
    #[serde(default)]
    pub cpu_seconds: u64,
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts that were stopped at their timeout.
    pub timed_out: u64,
    /// Tasks that were cancelled.
    pub cancelled: u64,
}

impl UsageCounts {
    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.slot_seconds += other.slot_seconds;
        self.cpu_seconds += other.cpu_seconds;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.cancelled += other.cancelled;
    }
}
