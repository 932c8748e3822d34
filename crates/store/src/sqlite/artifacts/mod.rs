//! Records of artifacts, and of objects that no record needs any more.

pub(super) mod garbage;
pub(super) mod records;
mod remove;
mod reserve;

use std::collections::HashMap;

use async_trait::async_trait;
use mitosis_domain::ids::TaskId;
use mitosis_protocol::{ArtifactKind, Timestamp};
use uuid::Uuid;

use super::SqliteStore;
use crate::StoreError;
use crate::ops::By;
use crate::ops::artifacts::{Artifact, Artifacts, Removal, Reservation};
use crate::ops::dispatch::Holder;
use crate::ops::expected::NewLink;

pub(super) use reserve::charge;

#[async_trait]
impl Artifacts for SqliteStore {
    async fn reserve_attempt_artifact(
        &self,
        holder: Holder,
        kind: ArtifactKind,
        size: i64,
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        self.write(move |db| reserve::for_attempt(db, holder, kind, size, now)).await
    }

    async fn reserve_artifact(
        &self,
        by: By,
        task: Uuid,
        kind: ArtifactKind,
        size: i64,
        link: Option<NewLink>,
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        self.write(move |db| reserve::for_user(db, by, task, kind, size, link, now)).await
    }

    async fn announced_artifacts(&self, holder: Holder) -> Result<Vec<Artifact>, StoreError> {
        self.read(move |db| records::announced(db, holder)).await
    }

    async fn artifacts(&self, task: TaskId) -> Result<Vec<Artifact>, StoreError> {
        self.read(move |db| records::visible(db, task)).await
    }

    async fn artifacts_of_kind(
        &self,
        tasks: &[TaskId],
        kind: ArtifactKind,
    ) -> Result<HashMap<TaskId, Artifact>, StoreError> {
        let tasks = tasks.to_vec();
        self.read(move |db| records::visible_of_kind(db, &tasks, kind)).await
    }

    async fn remove_artifact(
        &self,
        by: By,
        task: Uuid,
        kind: ArtifactKind,
        untouched_since: Timestamp,
    ) -> Result<Removal, StoreError> {
        self.write(move |db| remove::remove(db, by, task, kind, untouched_since)).await
    }
}
