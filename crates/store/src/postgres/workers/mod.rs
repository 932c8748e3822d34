//! Workers: registration, signs of life, what users change about them, and their end.

pub(super) mod departure;
mod duties;
mod edit;
mod get;
mod groups;
mod lock;
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

use super::{PostgresStore, ask, write};
use crate::StoreError;
use crate::ops::By;
use crate::ops::query::{FoundWorkers, WorkerPage, WorkerQuery};
use crate::ops::workers::{
    Departure, Duties, Fate, NewWorker, Registration, Stop, WorkerChange, WorkerGroupsChange, Workers,
};

pub(super) use edit::touch;
pub(super) use groups::{end_service, lock_service};
pub(super) use lock::{Locked, lock};
pub(super) use stop::after_commit;

#[async_trait]
impl Workers for PostgresStore {
    async fn register_worker(
        &self,
        new: &NewWorker,
        terms: LeaseTerms,
        at: Moment,
    ) -> Result<Registration, StoreError> {
        write!(self, tx => register::register(tx, new, terms, at))
    }

    async fn worker(&self, uuid: Uuid) -> Result<Option<Worker>, StoreError> {
        get::by_uuid(&self.client().await?, uuid).await
    }

    async fn worker_groups(&self, worker: WorkerId) -> Result<BTreeMap<String, Role>, StoreError> {
        groups::of_worker(&self.client().await?, worker).await
    }

    async fn workers_of(&self, owner: UserId) -> Result<Vec<Uuid>, StoreError> {
        get::of_owner(&self.client().await?, owner).await
    }

    async fn query_workers(&self, query: &WorkerQuery, page: WorkerPage) -> Result<FoundWorkers, StoreError> {
        ask!(self, db => get::page(db, query, page))
    }

    async fn count_workers(&self, query: &WorkerQuery) -> Result<u64, StoreError> {
        ask!(self, db => get::count(db, query))
    }

    async fn renew_leases(
        &self,
        signs: &[(WorkerId, LeaseTerms)],
        at: Moment,
    ) -> Result<Vec<WorkerId>, StoreError> {
        write!(self, tx => renew::renew(tx, signs, at))
    }

    async fn duties(&self, workers: &[WorkerId]) -> Result<HashMap<WorkerId, Duties>, StoreError> {
        duties::duties(&self.client().await?, workers).await
    }

    async fn set_worker_tags(
        &self,
        by: By,
        uuid: Uuid,
        tags: &Words,
        now: Timestamp,
    ) -> Result<WorkerChange, StoreError> {
        write!(self, tx => edit::set_tags(tx, by, uuid, tags, now))
    }

    async fn set_worker_labels(
        &self,
        by: By,
        uuid: Uuid,
        labels: &Words,
        now: Timestamp,
    ) -> Result<WorkerChange, StoreError> {
        write!(self, tx => edit::set_labels(tx, by, uuid, labels, now))
    }

    async fn set_worker_groups(
        &self,
        by: By,
        uuid: Uuid,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<WorkerGroupsChange, StoreError> {
        write!(self, tx => groups::set(tx, by, uuid, relations, now))
    }

    async fn remove_worker_groups(
        &self,
        by: By,
        uuid: Uuid,
        groups: &[String],
        now: Timestamp,
    ) -> Result<WorkerGroupsChange, StoreError> {
        write!(self, tx => groups::remove(tx, by, uuid, groups, now))
    }

    async fn stop_worker(
        &self,
        by: By,
        uuid: Uuid,
        op: ShutdownOp,
        now: Timestamp,
    ) -> Result<Stop, StoreError> {
        write!(self, tx => stop::stop(tx, by, uuid, op, now))
    }

    async fn sign_off(&self, uuid: Uuid, fate: Fate, now: Timestamp) -> Result<Stop, StoreError> {
        write!(self, tx => stop::sign_off(tx, uuid, fate, now))
    }

    async fn departure(&self, uuid: Uuid) -> Result<Option<Departure>, StoreError> {
        departure::of(&self.client().await?, uuid).await
    }
}
