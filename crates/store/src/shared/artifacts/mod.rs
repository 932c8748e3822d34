//! Records of artifacts, and of objects that no record needs any more.

pub(crate) mod garbage;
pub(crate) mod inline;
pub(crate) mod packed;
pub(crate) mod records;
mod remove;
mod reserve;
pub(super) mod small;

use std::collections::HashMap;

use async_trait::async_trait;
use mitosis_domain::ids::TaskId;
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::{ArtifactKind, Epoch, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::backend::Backend;
use crate::ops::artifacts::{Artifact, Artifacts, Removal, Reservation, SmallArchive};
use crate::ops::dispatch::Holder;
use crate::ops::expected_uploads::NewLink;
use crate::ops::{Actor, Changed};

pub(super) use reserve::charge;

#[async_trait]
impl<B: Backend> Artifacts for B {
    async fn reserve_attempt_artifact(
        &self,
        holder: Holder,
        kind: ArtifactKind,
        size: i64,
        now: Timestamp,
    ) -> Result<Changed<Reservation>, StoreError> {
        self.write((holder, kind, size, now), |db, (holder, kind, size, now)| {
            Box::pin(reserve::for_attempt(db, *holder, *kind, *size, *now))
        })
        .await
    }

    async fn reserve_artifact(
        &self,
        actor: Actor,
        task: Uuid,
        kind: ArtifactKind,
        size: i64,
        link: Option<NewLink>,
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        self.write((actor, task, kind, size, link, now), |db, (actor, task, kind, size, link, now)| {
            Box::pin(reserve::for_user(db, *actor, *task, *kind, *size, *link, *now))
        })
        .await
    }

    async fn announced_artifacts(&self, holder: Holder) -> Result<Vec<Artifact>, StoreError> {
        self.read(holder, |db, holder| Box::pin(records::announced(db, *holder))).await
    }

    async fn artifacts(&self, task: TaskId) -> Result<Vec<Artifact>, StoreError> {
        self.read(task, |db, task| Box::pin(records::visible(db, *task))).await
    }

    async fn artifacts_of_attempt(&self, task: TaskId, attempt: Epoch) -> Result<Vec<Artifact>, StoreError> {
        self.read((task, attempt), |db, (task, attempt)| Box::pin(records::of_attempt(db, *task, *attempt)))
            .await
    }

    async fn artifacts_of_kind(
        &self,
        tasks: &[TaskId],
        kind: ArtifactKind,
    ) -> Result<HashMap<TaskId, Artifact>, StoreError> {
        self.read((tasks.to_vec(), kind), |db, (tasks, kind)| {
            Box::pin(records::visible_of_kind(db, tasks, *kind))
        })
        .await
    }

    async fn small_archive(&self, key: &ObjectKey) -> Result<Option<SmallArchive>, StoreError> {
        self.read(key.clone(), |db, key| Box::pin(small::find(db, key))).await
    }

    async fn archive_moved(&self, key: &ObjectKey, now: Timestamp) -> Result<(), StoreError> {
        self.write((key.clone(), now), |db, (key, now)| Box::pin(small::moved(db, key, *now))).await
    }

    async fn remove_artifact(
        &self,
        actor: Actor,
        task: Uuid,
        kind: ArtifactKind,
        untouched_since: Timestamp,
    ) -> Result<Removal, StoreError> {
        self.write((actor, task, kind, untouched_since), |db, (actor, task, kind, untouched_since)| {
            Box::pin(remove::remove(db, *actor, *task, *kind, *untouched_since))
        })
        .await
    }
}
