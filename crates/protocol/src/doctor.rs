//! What a coordinator tells about itself when something is wrong (native API).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// What is uploaded to the link of a probe, and comes back from it: exactly these bytes.
pub const PROBE: &[u8] = b"mitosis doctor\n";

/// `GET /v1/doctor`: for whoever is logged in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorReply {
    /// Version of the coordinator.
    pub version: String,
    /// Its clock.
    pub now: Timestamp,
    /// Version of the database's schema.
    pub schema: i64,
    /// The version that this coordinator was made for.
    pub schema_known: i64,
    /// Where to try an upload.
    pub probe: ProbeLinks,
}

/// Links to one small object that belongs to nobody and counts for nobody: to try whether links lead
/// anywhere from where the caller is. Both work for a minute.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbeLinks {
    /// `PUT` [`PROBE`] here.
    pub upload: String,
    /// `GET` it from here afterwards.
    pub download: String,
}

/// `GET /v1/admin/doctor`: for administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminDoctorReply {
    /// The first administrator, if the account is active and its password is the documented default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_password_of: Option<String>,
    /// How Redis gets on; nothing when it is not configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisContact>,
    /// Workers that have been silent for so long that they get no new tasks; none where the coordinator does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_workers: Option<u64>,
    /// The coordinator's background tasks. Not sent by old servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub background: Vec<BackgroundTask>,
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

/// How a coordinator gets on with its Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "contact")]
#[non_exhaustive]
pub enum RedisContact {
    /// It answers, and its users are set up unless that was switched off.
    Connected,
    /// Nobody answers at `redis_url`.
    Unreachable,
    /// It answers, and refuses.
    Refused {
        /// The word that Redis gives as the reason, such as `NOPERM` or `WRONGPASS`.
        code: String,
    },
    /// Something that this reader does not know.
    #[serde(other)]
    Unknown,
}
