//! Workers: registration, signs of life, what users change about them, and their end.

pub(super) mod departure;
mod duties;
mod edit;
mod get;
mod groups;
mod register;
pub(super) mod remove;
mod renew;
mod stop;

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use mitosis_domain::ids::{UserId, WorkerId};
use mitosis_domain::lease::{LeaseTerms, Moment};
use mitosis_domain::tags::Words;
use mitosis_domain::worker::Worker;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use super::SqliteStore;
use crate::StoreError;
use crate::ops::By;
use crate::ops::query::{FoundWorkers, WorkerPage, WorkerQuery};
use crate::ops::workers::{
    Departure, Duties, Fate, NewWorker, Registration, Stop, WorkerChange, WorkerGroupsChange, Workers,
};

pub(super) use edit::touch;
pub(super) use groups::end_service;
pub(super) use stop::after_commit;

#[async_trait]
impl Workers for SqliteStore {
    async fn register_worker(
        &self,
        new: &NewWorker,
        terms: LeaseTerms,
        at: Moment,
    ) -> Result<Registration, StoreError> {
        let new = new.clone();
        self.write(move |db| register::register(db, &new, terms, at)).await
    }

    async fn worker(&self, uuid: Uuid) -> Result<Option<Worker>, StoreError> {
        self.read(move |db| get::by_uuid(db, uuid)).await
    }

    async fn worker_groups(&self, worker: WorkerId) -> Result<BTreeMap<String, Role>, StoreError> {
        self.read(move |db| groups::of_worker(db, worker)).await
    }

    async fn workers_of(&self, owner: UserId) -> Result<Vec<Uuid>, StoreError> {
        self.read(move |db| get::of_owner(db, owner)).await
    }

    async fn query_workers(&self, query: &WorkerQuery, page: WorkerPage) -> Result<FoundWorkers, StoreError> {
        let query = query.clone();
        self.answer(move |db| get::page(db, &query, page)).await
    }

    async fn count_workers(&self, query: &WorkerQuery) -> Result<u64, StoreError> {
        let query = query.clone();
        self.answer(move |db| get::count(db, &query)).await
    }

    async fn renew_leases(
        &self,
        signs: &[(WorkerId, LeaseTerms)],
        at: Moment,
    ) -> Result<Vec<WorkerId>, StoreError> {
        let signs = signs.to_vec();
        self.write_soon(move |db| renew::renew(db, &signs, at)).await
    }

    async fn duties(&self, workers: &[WorkerId]) -> Result<HashMap<WorkerId, Duties>, StoreError> {
        let workers = workers.to_vec();
        self.read(move |db| duties::duties(db, &workers)).await
    }

    async fn set_worker_tags(
        &self,
        by: By,
        uuid: Uuid,
        tags: &Words,
        now: Timestamp,
    ) -> Result<WorkerChange, StoreError> {
        let tags = tags.clone();
        self.write(move |db| edit::set_tags(db, by, uuid, &tags, now)).await
    }

    async fn set_worker_labels(
        &self,
        by: By,
        uuid: Uuid,
        labels: &Words,
        now: Timestamp,
    ) -> Result<WorkerChange, StoreError> {
        let labels = labels.clone();
        self.write(move |db| edit::set_labels(db, by, uuid, &labels, now)).await
    }

    async fn set_worker_groups(
        &self,
        by: By,
        uuid: Uuid,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<WorkerGroupsChange, StoreError> {
        let relations = relations.clone();
        self.write(move |db| groups::set(db, by, uuid, &relations, now)).await
    }

    async fn remove_worker_groups(
        &self,
        by: By,
        uuid: Uuid,
        groups: &[String],
        now: Timestamp,
    ) -> Result<WorkerGroupsChange, StoreError> {
        let names = groups.to_vec();
        self.write(move |db| groups::remove(db, by, uuid, &names, now)).await
    }

    async fn stop_worker(
        &self,
        by: By,
        uuid: Uuid,
        op: ShutdownOp,
        now: Timestamp,
    ) -> Result<Stop, StoreError> {
        self.write(move |db| stop::stop(db, by, uuid, op, now)).await
    }

    async fn sign_off(&self, uuid: Uuid, fate: Fate, now: Timestamp) -> Result<Stop, StoreError> {
        self.write(move |db| stop::sign_off(db, uuid, fate, now)).await
    }

    async fn departure(&self, uuid: Uuid) -> Result<Option<Departure>, StoreError> {
        self.read(move |db| departure::of(db, uuid)).await
    }
}
