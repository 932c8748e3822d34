//! The interface that every backend offers.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::object::{ObjectKey, Shelf};
use mitosis_protocol::Timestamp;

use crate::{
    ByteRange, ByteStream, Link, LinkError, ObjectBody, ObjectError, ObjectMeta, Right, SignedAccess,
};

/// Stores objects and signs links to them.
#[async_trait]
pub trait ObjectStore: Send + Sync + Debug {
    /// Makes the store ready for use: creates what is missing (buckets, folders), removes what a
    /// crash left behind, and proves by writing that the credentials suffice. Safe to repeat, and
    /// safe to run on several coordinators at once.
    async fn prepare(&self) -> Result<(), ObjectError>;

    /// Whether the store can be used at this moment. Asks the store itself each time.
    async fn check(&self) -> Result<(), ObjectError>;

    /// Stores exactly `length` bytes, replacing what was there. On any error, a body that is too
    /// short, too long or breaks off included, the old object stays as it was. When this returns
    /// `Ok`, the object survives a power cut as far as the backend can promise it.
    async fn put(&self, key: &ObjectKey, body: ByteStream, length: u64) -> Result<(), ObjectError>;

    /// Opens an object, or `range` of it. [`ObjectError::NotFound`] when there is none, and
    /// [`ObjectError::RangeOutside`] when the range holds none of its bytes. An object that is
    /// replaced while it is read is still read whole, as it was.
    async fn get(&self, key: &ObjectKey, range: Option<ByteRange>) -> Result<ObjectBody, ObjectError>;

    /// What is known about an object, or `None` when there is none.
    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectMeta>, ObjectError>;

    /// Removes an object. Removing one that does not exist is a success.
    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError>;

    /// Up to `limit` objects whose path starts with `prefix` and is greater than `after`, ordered by
    /// the bytes of their path. Pass the last path of one page as `after` to get the next; a page
    /// with fewer than `limit` entries is the last.
    async fn list(
        &self,
        shelf: Shelf,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, ObjectError>;

    /// A link that lets its bearer `PUT` exactly `length` bytes until `now + valid`, without any other
    /// credential and with any `Content-Type`. It may be used again and again where it leads straight to the
    /// storage, so it is for objects that no record stands for.
    fn upload_link(
        &self,
        key: &ObjectKey,
        length: u64,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError>;

    /// A link straight to the storage that lets its bearer `PUT` exactly `length` bytes where no object is. The
    /// bearer must send `If-None-Match: *`, which is part of the signature: the storage refuses with 412 what would
    /// change an object. `None` where the storage can't be reached by clients, or does not promise that.
    fn create_link(
        &self,
        key: &ObjectKey,
        length: u64,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Option<Link>, ObjectError>;

    /// A link for an upload that the coordinator passes on, which sees to it that the record of the object still
    /// waits for it, and that `holder` still may.
    fn guarded_link(
        &self,
        key: &ObjectKey,
        right: Right,
        holder: Option<&str>,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError>;

    /// A link that lets its bearer `GET` the object until `now + valid`, without any other credential. A link via the
    /// coordinator says whom it was given to, in words of the coordinator, so that it ends with what `holder` may do.
    fn download_link(
        &self,
        key: &ObjectKey,
        holder: Option<&str>,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError>;

    /// What a request to the coordinator may do, judged by the signature in its address: the other
    /// half of [`Link::ViaCoordinator`]. `method` is the request's method in upper case and
    /// `path_and_query` its target as it was received.
    fn verify_link(
        &self,
        method: &str,
        path_and_query: &str,
        now: Timestamp,
    ) -> Result<SignedAccess, LinkError>;
}
