//! Records of artifacts. A record says which stored object is an archive of a task.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use mitosis_domain::ids::TaskId;
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::{ArtifactKind, Epoch, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::dispatch::Holder;
use crate::ops::expected_uploads::NewLink;
use crate::ops::{Actor, Changed};

/// A visible archive of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The kind of the archive.
    pub kind: ArtifactKind,
    /// The recorded size in bytes.
    pub size: i64,
    /// The path of the object in its class.
    pub object: String,
    /// Where the bytes are.
    pub place: Place,
    /// When it was first uploaded.
    pub created_at: Timestamp,
    /// When it was last uploaded.
    pub updated_at: Timestamp,
}

/// Where the bytes of an archive are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the object store.
    ObjectStore,
    /// In the database, beside the record.
    Inline,
    /// In the object store, in an object with other archives.
    Packed,
}

/// An archive that has no object of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SmallArchive {
    /// In the database.
    Inline(Bytes),
    /// In an object with other archives.
    Packed(PackedRange),
}

/// A part of a packed object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackedRange {
    /// The packed object.
    pub object: ObjectKey,
    /// The offset of the first byte.
    pub offset: u64,
    /// The length in bytes.
    pub length: u64,
}

/// The record of a reserved upload, which decides the way that its bytes may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadRecord {
    /// There was a record of this name. The bytes pass through a coordinator, which checks the record.
    Existing,
    /// The record is new, and the bytes pass through a coordinator.
    New,
    /// The record is new, and a link may lead directly to the object store, where it can only create a new object.
    NewDirect,
}

/// Outcome of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// The bytes may be sent to this path, and the growth is charged.
    Reserved {
        /// The record.
        record: UploadRecord,
        /// The path of the object in its class.
        object: String,
    },
    /// Refused: the group would exceed its quota.
    OverQuota,
    /// Refused: only Active groups accept uploads.
    GroupNotActive,
    /// Refused: the task does not exist, or the attempt does not hold it.
    NoSuchTask,
    /// Refused: the user may not manage files in the group.
    Denied,
    /// The archive to replace is inline or packed. Its bytes have to be moved to this path in the object store first,
    /// so that they are still there if the upload fails; see [`Artifacts::archive_moved`].
    HasNoObject {
        /// Path of the object.
        object: String,
    },
}

/// Outcome of the removal of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// The record was deleted and its size released.
    Removed {
        /// The path in its class of the object, which can be deleted too; none if it had no object of its own.
        object: Option<String>,
    },
    /// Refused: the record was changed after the given time, so an upload may be in progress.
    TooYoung,
    /// There is no such record.
    Unknown,
    /// Refused: the user may not manage files in the group.
    Denied,
}

/// Operations on records of artifacts.
#[async_trait]
pub trait Artifacts {
    /// Reserves an upload by the attempt that holds the task. It is charged at once in one conditional update,
    /// and becomes visible when the attempt is committed. Another reservation of the same attempt replaces the
    /// earlier one, and charges only growth.
    async fn reserve_attempt_artifact(
        &self,
        holder: Holder,
        kind: ArtifactKind,
        size: i64,
        now: Timestamp,
    ) -> Result<Changed<Reservation>, StoreError>;

    /// Reserves an upload by a user, which is visible at once. The larger of the old and new sizes is recorded,
    /// and only growth is charged (HTTP contract §8, §10), until no more uploads are expected.
    async fn reserve_artifact(
        &self,
        actor: Actor,
        task: Uuid,
        kind: ArtifactKind,
        size: i64,
        link: Option<NewLink>,
        now: Timestamp,
    ) -> Result<Reservation, StoreError>;

    /// Reads the archives that the attempt has reserved, which become visible when it is committed.
    async fn announced_artifacts(&self, holder: Holder) -> Result<Vec<Artifact>, StoreError>;

    /// Reads the visible archives of a task.
    async fn artifacts(&self, task: TaskId) -> Result<Vec<Artifact>, StoreError>;

    /// Reads the archives of an ended attempt. Those of earlier attempts are not visible.
    async fn artifacts_of_attempt(&self, task: TaskId, attempt: Epoch) -> Result<Vec<Artifact>, StoreError>;

    /// Reads the visible archives of one kind of many tasks.
    async fn artifacts_of_kind(
        &self,
        tasks: &[TaskId],
        kind: ArtifactKind,
    ) -> Result<HashMap<TaskId, Artifact>, StoreError>;

    /// An archive that is inline or packed, by the key that its object would have. `None` if there is no such archive,
    /// or if it has an object of its own.
    async fn small_archive(&self, key: &ObjectKey) -> Result<Option<SmallArchive>, StoreError>;

    /// Records that the bytes of an inline or packed archive are in an object of its own now.
    async fn archive_moved(&self, key: &ObjectKey, now: Timestamp) -> Result<(), StoreError>;

    /// Removes the record of an archive that was not changed since `untouched_since`; an admin passes the
    /// present. The object is recorded as garbage at once; the caller usually deletes it before the garbage is
    /// collected.
    async fn remove_artifact(
        &self,
        actor: Actor,
        task: Uuid,
        kind: ArtifactKind,
        untouched_since: Timestamp,
    ) -> Result<Removal, StoreError>;
}
