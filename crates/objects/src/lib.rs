//! Stores artifacts and attachments in an S3-compatible service or a directory, behind one interface.
//!
//! [`ObjectStore`] is the interface. [`directory::DirectoryStore`] stores objects in files below one folder;
//! [`s3::S3Store`] stores them in buckets. Callers hold an `Arc<dyn ObjectStore>` and don't depend on the
//! backend; one conformance suite runs on both.
//!
//! An object is complete or absent: this crate never exposes a part of one. The caller decides who may read or
//! write an object; this crate doesn't know users, groups or quotas.

pub mod directory;
mod error;
mod link;
mod object;
mod range;
pub mod s3;
mod store;

pub use error::{FileOperation, ObjectError, Reply};
pub use link::{Link, LinkError, Right, SignedAccess};
pub use object::{ByteStream, ObjectBody, ObjectMeta};
pub use range::{ByteRange, Span};
pub use store::ObjectStore;
