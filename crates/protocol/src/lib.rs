//! What crosses the wire between a coordinator and its clients and workers.
//!
//! One module per subject, one type per message, plain `serde`. Nothing here performs I/O, decides
//! anything or knows a database: a type is the shape of a message and the limits of that shape.
//! Section numbers (`§9`) refer to the HTTP contract.
//!
//! Readers are lenient where the contract is (unknown fields are ignored, several spellings of an
//! enum are accepted); writers produce one form only.

pub mod admin;
pub mod agent;
pub mod artifact;
pub mod attachment;
pub mod audit;
pub mod auth;
pub mod doctor;
pub mod duration;
pub mod error;
pub mod events;
pub mod exec_state;
pub mod explain;
pub mod group;
pub mod output;
pub mod password;
pub mod report;
mod result;
pub mod storage;
pub mod sweep;
pub mod task;
pub mod timestamp;
pub mod tokens;
pub mod warning;
pub mod worker;

pub use artifact::{ArtifactInfo, ArtifactKind};
pub use error::{ErrorBody, ErrorCode};
pub use exec_state::ExecState;
pub use group::Role;
pub use password::Md5Password;
pub use task::{TaskInfo, TaskResult, TaskResultMessage, TaskSpec, TaskState};
pub use timestamp::Timestamp;
pub use uuid::Uuid;
pub use warning::{ResultWarning, WarningCode};

/// The header of each answer that says the version of the coordinator. A coordinator before 0.7 has none.
pub const VERSION_HEADER: &str = "x-mito-version";

/// Of a request that announces an upload, with the value [`UPLOADS_ONCE`]: the sender knows that a link may ask for
/// `If-None-Match: *`, as `X-Amz-SignedHeaders` in it says.
pub const UPLOAD_HEADER: &str = "x-mito-upload";

/// Header with which clients and workers of ours say at which address they reached the coordinator: links to the
/// coordinator itself begin with it, whatever a proxy in between makes of `Host`.
pub const ADDRESS_HEADER: &str = "x-mito-address";

/// See [`UPLOAD_HEADER`].
pub const UPLOADS_ONCE: &str = "once";
