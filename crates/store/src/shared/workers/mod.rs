//! Workers: registration, heartbeats, changes by users, and removal.

mod edit;
pub(crate) mod get;
mod groups;
mod held_attempts;
pub(super) mod hosts;
mod lock;
mod register;
pub(crate) mod remove;
mod renew;
mod stop;
pub(super) mod tombstones;

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use mitosis_domain::ids::{UserId, WorkerId};
use mitosis_domain::lease::{LeaseTerms, Moment};
use mitosis_domain::tags::TagSet;
use mitosis_domain::worker::Worker;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::backend::Backend;
use crate::ops::query::{FoundWorkers, WorkerPage, WorkerQuery};
use crate::ops::workers::{
    Departure, Fate, HeldAttempts, NewWorker, Registration, Stop, WorkerChange, WorkerGroupsChange, Workers,
};
use crate::ops::{Actor, Changed};

pub(crate) use edit::touch;
pub(crate) use groups::{lock_serving_workers, remove_serving_workers};
pub(crate) use lock::{LockedWorker, lock};
pub(crate) use stop::after_commit;

#[async_trait]
impl<B: Backend> Workers for B {
    async fn register_worker(
        &self,
        new: &NewWorker,
        terms: LeaseTerms,
        at: Moment,
    ) -> Result<Registration, StoreError> {
        self.write((new.clone(), terms, at), |db, (new, terms, at)| {
            Box::pin(register::register(db, new, *terms, *at))
        })
        .await
    }

    async fn worker(&self, uuid: Uuid) -> Result<Option<Worker>, StoreError> {
        self.read(uuid, |db, uuid| Box::pin(get::by_uuid(db, *uuid))).await
    }

    async fn worker_groups(&self, worker: WorkerId) -> Result<BTreeMap<String, Role>, StoreError> {
        self.read(worker, |db, worker| Box::pin(groups::of_worker(db, *worker))).await
    }

    async fn workers_of(&self, owner: UserId) -> Result<Vec<Uuid>, StoreError> {
        self.read(owner, |db, owner| Box::pin(get::of_owner(db, *owner))).await
    }

    async fn query_workers(&self, query: &WorkerQuery, page: WorkerPage) -> Result<FoundWorkers, StoreError> {
        self.read_for_user((query.clone(), page), |db, (query, page)| {
            Box::pin(get::page(db, Some(query), *page))
        })
        .await
    }

    async fn count_workers(&self, query: &WorkerQuery) -> Result<u64, StoreError> {
        self.read_for_user(query.clone(), |db, query| Box::pin(get::count(db, query))).await
    }

    async fn renew_leases(
        &self,
        heartbeats: &[(WorkerId, LeaseTerms)],
        at: Moment,
    ) -> Result<Vec<WorkerId>, StoreError> {
        self.write_urgent((heartbeats.to_vec(), at), |db, (heartbeats, at)| {
            Box::pin(renew::renew(db, heartbeats, *at))
        })
        .await
    }

    async fn held_attempts(
        &self,
        workers: &[WorkerId],
    ) -> Result<HashMap<WorkerId, HeldAttempts>, StoreError> {
        self.read(workers.to_vec(), |db, workers| Box::pin(held_attempts::held_attempts(db, workers))).await
    }

    async fn set_worker_tags(
        &self,
        actor: Actor,
        uuid: Uuid,
        tags: &TagSet,
        now: Timestamp,
    ) -> Result<Changed<WorkerChange>, StoreError> {
        self.write((actor, uuid, tags.clone(), now), |db, (actor, uuid, tags, now)| {
            Box::pin(edit::set_tags(db, *actor, *uuid, tags, *now))
        })
        .await
    }

    async fn set_worker_labels(
        &self,
        actor: Actor,
        uuid: Uuid,
        labels: &TagSet,
        now: Timestamp,
    ) -> Result<WorkerChange, StoreError> {
        self.write((actor, uuid, labels.clone(), now), |db, (actor, uuid, labels, now)| {
            Box::pin(edit::set_labels(db, *actor, *uuid, labels, *now))
        })
        .await
    }

    async fn set_worker_groups(
        &self,
        actor: Actor,
        uuid: Uuid,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<Changed<WorkerGroupsChange>, StoreError> {
        self.write((actor, uuid, relations.clone(), now), |db, (actor, uuid, relations, now)| {
            Box::pin(groups::set(db, *actor, *uuid, relations, *now))
        })
        .await
    }

    async fn remove_worker_groups(
        &self,
        actor: Actor,
        uuid: Uuid,
        groups: &[String],
        now: Timestamp,
    ) -> Result<Changed<WorkerGroupsChange>, StoreError> {
        self.write((actor, uuid, groups.to_vec(), now), |db, (actor, uuid, groups, now)| {
            Box::pin(groups::remove(db, *actor, *uuid, groups, *now))
        })
        .await
    }

    async fn stop_worker(
        &self,
        actor: Actor,
        uuid: Uuid,
        op: ShutdownOp,
        now: Timestamp,
    ) -> Result<Changed<Stop>, StoreError> {
        self.write((actor, uuid, op, now), |db, (actor, uuid, op, now)| {
            Box::pin(stop::stop(db, *actor, *uuid, *op, *now))
        })
        .await
    }

    async fn drain_worker(
        &self,
        actor: Actor,
        uuid: Uuid,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Changed<WorkerChange>, StoreError> {
        self.write((actor, uuid, reason.map(str::to_owned), now), |db, (actor, uuid, reason, now)| {
            Box::pin(stop::drain(db, *actor, *uuid, reason.as_deref(), *now))
        })
        .await
    }

    async fn sign_off(&self, uuid: Uuid, fate: Fate, now: Timestamp) -> Result<Changed<Stop>, StoreError> {
        self.write((uuid, fate, now), |db, (uuid, fate, now)| {
            Box::pin(stop::sign_off(db, *uuid, *fate, *now))
        })
        .await
    }

    async fn departure(&self, uuid: Uuid) -> Result<Option<Departure>, StoreError> {
        self.read(uuid, |db, uuid| Box::pin(tombstones::of(db, *uuid))).await
    }
}
