//! Internal ids: row numbers that never leave the coordinator, each with its own type.

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);
    )*};
}

ids! {
    /// A user account.
    UserId,
    /// A group.
    GroupId,
    /// A task; workers see this number in contract reports, and only there.
    TaskId,
    /// A registered worker.
    WorkerId,
    /// The record of an artifact. SQLite may use the number of a deleted record again.
    ArtifactId,
    /// A job; users see this number.
    JobId,
    /// A schedule; users see this number.
    ScheduleId,
    /// A packed object, which contains many archives.
    PackedId,
    /// A lane: tasks of one group and creator that have the same tags and use the same limits.
    LaneId,
    /// A named limit of a group.
    LimitId,
    /// The limits that certain tasks use, and how much of each.
    LimitSetId,
    /// What certain tasks request of a worker, other than the default.
    RequestId,
}
