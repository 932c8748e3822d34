//! Records of artifacts. Bytes are elsewhere; a record says which object is a task's archive.

use std::collections::HashMap;

use async_trait::async_trait;
use mitosis_domain::ids::TaskId;
use mitosis_protocol::{ArtifactKind, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::By;
use crate::ops::dispatch::Holder;
use crate::ops::expected_uploads::NewLink;

/// The visible archive of one kind of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Which archive.
    pub kind: ArtifactKind,
    /// Recorded size in bytes.
    pub size: i64,
    /// Path of the object on the artifacts' shelf.
    pub object: String,
    /// First upload.
    pub created_at: Timestamp,
    /// Last upload.
    pub updated_at: Timestamp,
}

/// Outcome of announcing an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// The bytes may be sent to this path, and the growth is charged.
    Reserved {
        /// Whether something was registered under this name.
        exist: bool,
        /// Path of the object on its shelf.
        object: String,
        /// Whether the link of a user may go straight to the storage.
        creates: bool,
    },
    /// The group would store more than it may.
    OverQuota,
    /// Only Active groups take uploads.
    GroupNotActive,
    /// The task does not exist, or the attempt does not hold it.
    NoSuchTask,
    /// The user may not manage files in the group.
    Denied,
}

/// Outcome of removing a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// The record is gone and its size is given back; the object at this path can go too.
    Removed {
        /// Path of the object on its shelf.
        object: String,
    },
    /// It was touched after the given time: an upload may still be under way.
    TooYoung,
    /// There is none.
    Unknown,
    /// The user may not manage files in the group.
    Denied,
}

/// Records of artifacts.
#[async_trait]
pub trait Artifacts {
    /// Announces an upload by the attempt that holds the task. Charged at once in one conditional
    /// update; not visible before the attempt is committed. Announcing again replaces the earlier
    /// announcement of the same attempt and charges only growth.
    async fn reserve_attempt_artifact(
        &self,
        holder: Holder,
        kind: ArtifactKind,
        size: i64,
        now: Timestamp,
    ) -> Result<Reservation, StoreError>;

    /// Announces an upload by a user; visible at once. The larger of the old and new sizes is recorded,
    /// and only growth is charged (HTTP contract §8, §10), until no upload through a link can come any more.
    async fn reserve_artifact(
        &self,
        by: By,
        task: Uuid,
        kind: ArtifactKind,
        size: i64,
        link: Option<NewLink>,
        now: Timestamp,
    ) -> Result<Reservation, StoreError>;

    /// Archives that the attempt has announced so far and that would become visible with it.
    async fn announced_artifacts(&self, holder: Holder) -> Result<Vec<Artifact>, StoreError>;

    /// Visible archives of a task.
    async fn artifacts(&self, task: TaskId) -> Result<Vec<Artifact>, StoreError>;

    /// The visible archive of one kind of each task that has one.
    async fn artifacts_of_kind(
        &self,
        tasks: &[TaskId],
        kind: ArtifactKind,
    ) -> Result<HashMap<TaskId, Artifact>, StoreError>;

    /// Removes the record of an archive that was not touched since `untouched_since` (an admin passes
    /// the present). The object is noted as garbage at once; the caller removes it earlier.
    async fn remove_artifact(
        &self,
        by: By,
        task: Uuid,
        kind: ArtifactKind,
        untouched_since: Timestamp,
    ) -> Result<Removal, StoreError>;
}
