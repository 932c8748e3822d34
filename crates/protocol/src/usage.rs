//! What attempts use. Native.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the command of an attempt used, as measured by its worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptUsage {
    /// The time from the start of the command to its end, in microseconds.
    pub wall_micros: u64,
    /// User and system time of the command and its processes, in microseconds. Without control groups, only of those for
    /// which another process of the command waited.
    pub cpu_micros: u64,
    /// The most memory in use at once, in bytes. Without control groups, it is that of the largest process, and 0 if that is
    /// less than what the worker itself uses, about 20 MB.
    pub peak_memory: u64,
    /// How many bytes the command wrote to standard output and standard error, if they are kept.
    pub output_bytes: u64,
}
