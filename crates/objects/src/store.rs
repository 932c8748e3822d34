//! The interface of all backends.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;

use crate::{
    ByteRange, ByteStream, Link, LinkError, ObjectBody, ObjectError, ObjectMeta, Right, SignedAccess,
};

/// Stores objects and signs links to them.
#[async_trait]
pub trait ObjectStore: Send + Sync + Debug {
    /// Prepares the store: creates missing buckets or folders, removes leftovers of a crash, and checks the
    /// permissions by writing. It is safe to repeat, and to run on several coordinators at once.
    async fn prepare(&self) -> Result<(), ObjectError>;

    /// Checks that the store is usable now. Asks the store itself each time.
    async fn check(&self) -> Result<(), ObjectError>;

    /// Stores exactly `length` bytes, and replaces the object at the key. On any error, including a body of
    /// another length, the old object is unchanged. When this returns `Ok`, the object survives a power loss as
    /// far as the backend can guarantee it.
    async fn put(&self, key: &ObjectKey, body: ByteStream, length: u64) -> Result<(), ObjectError>;

    /// Opens an object, or `range` of it. Fails with [`ObjectError::NotFound`] if it does not exist, and with
    /// [`ObjectError::RangeOutside`] if the range contains none of its bytes. An object that is replaced while
    /// it is read is still read completely in its old version.
    async fn get(&self, key: &ObjectKey, range: Option<ByteRange>) -> Result<ObjectBody, ObjectError>;

    /// The metadata of an object, or `None` if it does not exist.
    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectMeta>, ObjectError>;

    /// Removes an object. Removing one that does not exist is a success.
    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError>;

    /// Up to `limit` objects whose path starts with `prefix` and is greater than `after`, ordered by
    /// the bytes of their path. Pass the last path of one page as `after` to get the next; a page
    /// with fewer than `limit` entries is the last.
    async fn list(
        &self,
        class: ObjectClass,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, ObjectError>;

    /// A link that lets its bearer `PUT` exactly `length` bytes until `now + valid`, without any other
    /// credential and with any `Content-Type`. A direct link can be used repeatedly, so it is for objects
    /// without a record.
    fn upload_link(
        &self,
        key: &ObjectKey,
        length: u64,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError>;

    /// A link directly to the storage that lets its bearer `PUT` exactly `length` bytes if no object exists.
    /// The bearer must send `If-None-Match: *`, which is part of the signature: the storage refuses with 412 to
    /// replace an object. `None` if clients can't reach the storage or it does not support the condition.
    fn create_link(
        &self,
        key: &ObjectKey,
        length: u64,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Option<Link>, ObjectError>;

    /// A link for an upload via the coordinator, which checks that the record of the object still expects it
    /// and that `holder` still has the right.
    fn guarded_link(
        &self,
        key: &ObjectKey,
        right: Right,
        holder: Option<&str>,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError>;

    /// A link that lets its bearer `GET` the object until `now + valid`, without any other credential. A link
    /// via the coordinator names its `holder` in the coordinator's own format, so that it ends with the
    /// holder's rights.
    fn download_link(
        &self,
        key: &ObjectKey,
        holder: Option<&str>,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError>;

    /// Verifies the signature in the address of a request to the coordinator, and returns what it allows: the
    /// counterpart of [`Link::ViaCoordinator`]. `method` is the request's method in upper case and
    /// `path_and_query` its target as received.
    fn verify_link(
        &self,
        method: &str,
        path_and_query: &str,
        now: Timestamp,
    ) -> Result<SignedAccess, LinkError>;
}
