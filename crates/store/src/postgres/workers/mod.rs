//! Workers: registration, signs of life, what users change about them, and their end.

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
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::tags::Words;
use mitosis_domain::worker::Worker;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use super::{PostgresStore, write};
use crate::Fault;
use crate::ops::query::WorkerQuery;
use crate::ops::workers::{Duties, NewWorker, Stop, WorkerGroupsChange, Workers};

pub(super) use edit::touch;
pub(super) use lock::{Locked, lock};
pub(super) use stop::after_commit;

#[async_trait]
impl Workers for PostgresStore {
    async fn register_worker(
        &self,
        new: &NewWorker,
        lease: Duration,
        now: Timestamp,
    ) -> Result<WorkerId, Fault> {
        write!(self, tx => register::register(tx, new, lease, now))
    }

    async fn worker(&self, uuid: Uuid) -> Result<Option<Worker>, Fault> {
        get::by_uuid(&self.client().await?, uuid).await
    }

    async fn worker_groups(&self, worker: WorkerId) -> Result<BTreeMap<String, Role>, Fault> {
        groups::of_worker(&self.client().await?, worker).await
    }

    async fn query_workers(&self, query: &WorkerQuery) -> Result<Vec<Worker>, Fault> {
        get::matching(&self.client().await?, query).await
    }

    async fn renew_leases(
        &self,
        signs: &[(WorkerId, Duration)],
        now: Timestamp,
    ) -> Result<Vec<WorkerId>, Fault> {
        write!(self, tx => renew::renew(tx, signs, now))
    }

    async fn duties(&self, workers: &[WorkerId]) -> Result<HashMap<WorkerId, Duties>, Fault> {
        duties::duties(&self.client().await?, workers).await
    }

    async fn set_worker_tags(&self, uuid: Uuid, tags: &Words, now: Timestamp) -> Result<bool, Fault> {
        edit::set_tags(&self.client().await?, uuid, tags, now).await
    }

    async fn set_worker_labels(&self, uuid: Uuid, labels: &Words, now: Timestamp) -> Result<bool, Fault> {
        edit::set_labels(&self.client().await?, uuid, labels, now).await
    }

    async fn set_worker_groups(
        &self,
        uuid: Uuid,
        relations: &BTreeMap<String, Role>,
        now: Timestamp,
    ) -> Result<WorkerGroupsChange, Fault> {
        write!(self, tx => groups::set(tx, uuid, relations, now))
    }

    async fn remove_worker_groups(
        &self,
        uuid: Uuid,
        groups: &[String],
        now: Timestamp,
    ) -> Result<WorkerGroupsChange, Fault> {
        write!(self, tx => groups::remove(tx, uuid, groups, now))
    }

    async fn stop_worker(&self, uuid: Uuid, op: ShutdownOp, now: Timestamp) -> Result<Stop, Fault> {
        write!(self, tx => stop::stop(tx, uuid, op, now))
    }
}
