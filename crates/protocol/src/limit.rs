//! Named limits: how much the tasks of a group may use of something at the same time. Native.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most limits that the tasks of one job may use.
pub const MAX_LIMITS_OF_JOB: usize = 16;

/// The largest value of a limit.
pub const MAX_LIMIT: u64 = 1_000_000_000;

/// What each task of a job uses of a limit while a worker holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct LimitUse {
    /// The name of the limit.
    pub name: String,
    /// How much each task uses, at least 1.
    #[serde(default = "one")]
    pub uses: u64,
}

const fn one() -> u64 {
    1
}

/// A limit of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitInfo {
    /// The name, which is unique in the group.
    pub name: String,
    /// How much tasks may use at the same time.
    pub value: u64,
    /// How much is in use. It is larger than the value for a while after the limit was lowered.
    pub in_use: u64,
    /// The jobs whose tasks use it now.
    pub jobs: Vec<i64>,
}

/// Reply to `GET /v1/groups/{group}/limits`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitsReply {
    /// The limits, by name.
    pub limits: Vec<LimitInfo>,
}

/// `PUT /v1/groups/{group}/limits/{limit}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetLimitRequest {
    /// How much tasks may use at the same time, at most [`MAX_LIMIT`]. With 0, no task that uses it starts.
    pub value: u64,
}
