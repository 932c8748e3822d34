//! Diagnostics of a coordinator (native API).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Timestamp, timestamp};

/// The bytes that a probe uploads and downloads.
pub const PROBE: &[u8] = b"mitosis doctor\n";

/// `GET /v1/doctor`, for logged-in users.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorReply {
    /// Version of the coordinator.
    pub version: String,
    /// The time on its clock.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub now: Timestamp,
    /// The version of the database schema.
    pub schema: i64,
    /// The schema version of this coordinator.
    pub schema_known: i64,
    /// Links for trying an upload.
    pub probe: ProbeLinks,
}

/// Links to a small object without an owner, to check whether links work for the caller. Both are valid for a
/// minute.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbeLinks {
    /// The link for `PUT` of [`PROBE`].
    pub upload: String,
    /// The link for `GET` afterwards.
    pub download: String,
}

/// `GET /v1/admin/doctor`, for administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminDoctorReply {
    /// The first administrator, if the account is active and its password is the documented default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_password_of: Option<String>,
    /// The state of Redis; null if it is not configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisContact>,
    /// The number of missed workers; null if the coordinator does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_workers: Option<u64>,
    /// What small archives of tasks take up; null if the coordinator does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small_archives: Option<SmallArchives>,
    /// Notifications about ended jobs that were not delivered; null if the coordinator does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<UndeliveredNotifications>,
    /// The coordinator's background tasks. Not sent by old servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub background: Vec<BackgroundTask>,
}

/// What small archives of tasks take up: those in the database, and those that were packed into objects since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SmallArchives {
    /// Archives in the database. An estimate on PostgreSQL.
    pub inline: u64,
    /// Their bytes. On PostgreSQL, the size of their table, with free space inside it.
    pub inline_bytes: u64,
    /// Packed objects in the object store.
    pub packed_objects: u64,
    /// The bytes of these objects.
    pub packed_bytes: u64,
    /// The archives in them.
    pub packed: u64,
    /// The bytes of these archives.
    pub packed_live_bytes: u64,
}

/// Notifications about ended jobs that were not delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UndeliveredNotifications {
    /// Those that will be sent.
    pub waiting: u64,
    /// Those of them whose last request failed.
    pub failing: u64,
    /// Those of the last seven days that are not sent again.
    pub failed: u64,
    /// When the job ended of the oldest one that will be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
}

/// A background task of a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackgroundTask {
    /// Its name, such as `lost-workers`.
    pub name: String,
    /// Whether it ended unexpectedly and has not recovered, or its passes keep failing.
    pub failing: bool,
    /// Restarts since the start of the coordinator.
    pub restarts: u64,
    /// The last pass of a periodic task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_pass: Option<PassOutcome>,
}

/// The outcome of one run of a periodic task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PassOutcome {
    /// When it began.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// What it changed, such as `deleted objects: 3`; absent if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// Why it failed; absent if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Failures since the last success.
    pub failures_in_a_row: u64,
}

/// The state of a coordinator's Redis connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "contact")]
#[non_exhaustive]
pub enum RedisContact {
    /// Redis answers, and its users are set up unless that is disabled.
    Connected,
    /// Redis does not answer at `redis_url`.
    Unreachable,
    /// Redis answers with an error.
    Refused {
        /// The error code of Redis, such as `NOPERM` or `WRONGPASS`.
        code: String,
    },
    /// A state that this reader does not know.
    #[serde(other)]
    Unknown,
}
