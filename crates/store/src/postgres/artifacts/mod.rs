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

use super::{PostgresStore, write};
use crate::StoreError;
use crate::ops::By;
use crate::ops::artifacts::{Artifact, Artifacts, Removal, Reservation};
use crate::ops::dispatch::Holder;
use crate::ops::expected::NewLink;

pub(super) use reserve::charge;

#[async_trait]
impl Artifacts for PostgresStore {
    async fn reserve_attempt_artifact(
        &self,
        holder: Holder,
        kind: ArtifactKind,
        size: i64,
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        write!(self, tx => reserve::for_attempt(tx, holder, kind, size, now))
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
        write!(self, tx => reserve::for_user(tx, by, task, kind, size, link, now))
    }

    async fn announced_artifacts(&self, holder: Holder) -> Result<Vec<Artifact>, StoreError> {
        records::announced(&self.client().await?, holder).await
    }

    async fn artifacts(&self, task: TaskId) -> Result<Vec<Artifact>, StoreError> {
        records::visible(&self.client().await?, task).await
    }

    async fn artifacts_of_kind(
        &self,
        tasks: &[TaskId],
        kind: ArtifactKind,
    ) -> Result<HashMap<TaskId, Artifact>, StoreError> {
        records::visible_of_kind(&self.client().await?, tasks, kind).await
    }

    async fn remove_artifact(
        &self,
        by: By,
        task: Uuid,
        kind: ArtifactKind,
        untouched_since: Timestamp,
    ) -> Result<Removal, StoreError> {
        write!(self, tx => remove::remove(tx, by, task, kind, untouched_since))
    }
}
