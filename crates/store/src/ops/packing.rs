//! Packing: many small archives move from the database into one object.
//!
//! A pass reads old archives ([`Packing::packable`], [`Packing::inline_bytes`]), reserves an object
//! ([`Packing::reserve_packed`]), writes it, and moves the archives into it in several short transactions
//! ([`Packing::pack`]). An archive that was deleted, replaced or moved meanwhile is left out. If the pass is cut off, its
//! object has a row without archives, which [`Packing::discard_unused`] turns into garbage.

use async_trait::async_trait;
use bytes::Bytes;
use mitosis_domain::ids::{ArtifactId, PackedId};
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::Timestamp;

use crate::StoreError;

/// An archive that can be packed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SmallRecord {
    /// Its record.
    pub id: ArtifactId,
    /// The path that its object would have. Together with the id it never means another archive.
    pub object: String,
    /// The length in bytes.
    pub size: i64,
}

/// Inline archives that are old enough, in the order of their records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packable {
    /// The archives.
    pub archives: Vec<SmallRecord>,
    /// Where to continue; `None` if no later archive can be old enough.
    pub next: Option<ArtifactId>,
}

/// Where an archive is in a packed object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The archive.
    pub archive: SmallRecord,
    /// The offset of its first byte.
    pub offset: i64,
}

/// A packed object of which little is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseObject {
    /// Its id.
    pub id: PackedId,
    /// Its key.
    pub key: ObjectKey,
    /// Its archives, in the order of their offsets.
    pub archives: Vec<Packed>,
}

/// Where archives come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackedFrom {
    /// The database.
    Inline,
    /// Another packed object.
    Object(PackedId),
}

/// Outcome of [`Packing::pack`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackOutcome {
    /// The number of archives that moved into the object. The others were deleted, replaced or moved before.
    Moved(u64),
    /// None moved, since the object is garbage.
    Discarded,
}

/// What small archives take up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SmallArchiveSizes {
    /// Archives in the database. An estimate on PostgreSQL.
    pub inline_archives: u64,
    /// Their bytes. On PostgreSQL, the size of their table, with space that is free inside it.
    pub inline_bytes: u64,
    /// Packed objects.
    pub packed_objects: u64,
    /// Their bytes.
    pub packed_bytes: u64,
    /// The archives in them.
    pub packed_archives: u64,
    /// The bytes of these archives.
    pub packed_live_bytes: u64,
}

/// Operations of packing. Any coordinator may call them at any time; of two that pack the same archives, the first one to
/// call [`Packing::pack`] moves them.
#[async_trait]
pub trait Packing {
    /// Examines up to `limit` inline archives after `after`, and returns those that were stored before
    /// `stored_before`.
    async fn packable(
        &self,
        stored_before: Timestamp,
        after: Option<ArtifactId>,
        limit: u32,
    ) -> Result<Packable, StoreError>;

    /// Reads the bytes of inline archives, in their order. Those that are not inline any more are left out.
    async fn inline_bytes(&self, archives: Vec<SmallRecord>)
    -> Result<Vec<(SmallRecord, Bytes)>, StoreError>;

    /// Records an object that is about to be written. It is not garbage until [`Self::discard_unused`] finds it empty.
    async fn reserve_packed(
        &self,
        key: &ObjectKey,
        size: i64,
        now: Timestamp,
    ) -> Result<PackedId, StoreError>;

    /// Moves archives into an object that is written. They are read there from now on. A packed object that they were the
    /// last in is garbage, and due for deletion a day later.
    async fn pack(
        &self,
        object: PackedId,
        from: PackedFrom,
        archives: Vec<Packed>,
        now: Timestamp,
    ) -> Result<PackOutcome, StoreError>;

    /// Makes objects without archives garbage: `object`, or all that were reserved before a time. Returns their number.
    async fn discard_unused(&self, unused: Unused, now: Timestamp) -> Result<u64, StoreError>;

    /// Reads up to `limit` packed objects after `after` that were reserved before a time, and of which less than a
    /// quarter is left.
    async fn sparse_objects(
        &self,
        reserved_before: Timestamp,
        after: Option<PackedId>,
        limit: u32,
    ) -> Result<Vec<SparseObject>, StoreError>;

    /// What small archives take up, without reading them all.
    async fn small_archive_sizes(&self) -> Result<SmallArchiveSizes, StoreError>;
}

/// The objects that [`Packing::discard_unused`] looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unused {
    /// One object.
    Object(PackedId),
    /// Objects that were reserved before a time, so that no coordinator still fills them.
    ReservedBefore(Timestamp),
}
