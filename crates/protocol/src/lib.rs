//! The messages between a coordinator and its clients and workers.
//!
//! There is one module for each subject and one type for each message, with plain `serde`. The crate performs
//! no I/O and makes no decisions: a type is the form of a message and the limits of that form. Section numbers
//! (`§9`) refer to the HTTP contract.
//!
//! Readers are lenient where the contract is (unknown fields are ignored, several spellings of an enum are
//! accepted); writers produce one form only.

pub mod activity;
pub mod admin;
pub mod agent;
pub mod artifact;
pub mod attachment;
mod attempt;
pub mod audit;
pub mod auth;
mod base64_bytes;
pub mod doctor;
pub mod duration;
pub mod error;
pub mod events;
pub mod exec_state;
pub mod explain;
pub mod group;
pub mod job;
pub mod limit;
pub mod notify;
pub mod output;
pub mod password;
pub mod report;
pub mod resources;
mod result;
pub mod retry;
pub mod schedule;
pub mod secret;
pub mod stop;
pub mod storage;
pub mod sweep;
pub mod task;
pub mod timestamp;
pub mod tokens;
pub mod usage;
mod wait_status;
pub mod warning;
pub mod worker;

pub use artifact::{ArtifactInfo, ArtifactKind};
pub use attempt::{Epoch, LeaseToken};
pub use error::{ErrorBody, ErrorCode};
pub use exec_state::ExecState;
pub use group::Role;
pub use job::{JobCounts, JobState};
pub use password::Md5Password;
pub use resources::{Cpus, Granted, ResourceOffer, ResourceRequest};
pub use task::{TaskInfo, TaskResult, TaskResultMessage, TaskSpec, TaskState};
pub use timestamp::Timestamp;
pub use uuid::Uuid;
pub use wait_status::{ShellCode, Termination, WaitStatus};
pub use warning::{ResultWarning, WarningCode};

/// The header of each reply with the version of the coordinator. A coordinator before 0.7 sends none.
pub const VERSION_HEADER: &str = "x-mito-version";

/// The header of a request that announces an upload, with the value [`UPLOADS_ONCE`]: the sender supports links
/// that require `If-None-Match: *`, as listed in their `X-Amz-SignedHeaders`.
pub const UPLOAD_HEADER: &str = "x-mito-upload";

/// The header in which native clients and workers send the address at which they reached the coordinator. Links
/// to the coordinator begin with it, independent of the `Host` that a proxy sets.
pub const ADDRESS_HEADER: &str = "x-mito-address";

/// The value of [`UPLOAD_HEADER`].
pub const UPLOADS_ONCE: &str = "once";
