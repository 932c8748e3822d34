//! Artifacts and attachments: an S3-compatible service or a directory, behind one interface.
//!
//! [`ObjectStore`] is that interface. [`directory::DirectoryStore`] keeps objects in files below one
//! folder; [`s3::S3Store`] keeps them in buckets. Callers hold an `Arc<dyn ObjectStore>` and can't
//! tell which; one conformance suite runs on both.
//!
//! An object is whole or it is absent: nothing here ever shows a part of one. Who may read or write
//! an object is decided by the caller; this crate knows nothing of users, groups or quotas.

pub mod directory;
mod error;
mod link;
mod object;
mod range;
pub mod s3;
mod store;

pub use error::{ObjectError, Reply};
pub use link::{Link, LinkError, Right, SignedAccess};
pub use object::{ByteStream, ObjectBody, ObjectMeta};
pub use range::{ByteRange, Span};
pub use store::ObjectStore;
