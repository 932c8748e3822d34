//! What the groups of a user have done in the last hour. Native.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::timestamp::{self, Timestamp};

/// Reply to `GET /v1/activity`: attempts that ended in the groups of the caller, by minute. The last minute is the current one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActivityReply {
    /// The beginning of the first minute. It is at most an hour ago, and later if counting more would take too long.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:00Z")]
    pub since: Timestamp,
    /// The minutes, oldest first.
    pub minutes: Vec<ActivityMinute>,
}

/// The attempts that ended within a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActivityMinute {
    /// They succeeded.
    pub succeeded: u64,
    /// They failed; lost attempts do not count.
    pub failed: u64,
    /// They reached the timeout of their task.
    pub timed_out: u64,
    /// They, or tasks that waited, were cancelled.
    pub cancelled: u64,
}

impl ActivityMinute {
    /// Adds another count to this one.
    pub fn add(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.cancelled += other.cancelled;
    }
}
