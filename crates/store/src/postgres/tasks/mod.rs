//! Submission, lookup, change and cancellation of tasks.

mod cancel;
mod change;
mod find;
pub(super) mod get;
pub(super) mod insert;
mod intern;
mod labels;
mod outcomes;
mod query;
mod repeat;
mod stop;
mod submit;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::crash;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::tags::Words;
use mitosis_domain::task::Task;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::{PostgresStore, ask, rights, write};
use crate::StoreError;
use crate::ops::By;
use crate::ops::query::{Count, Page, TaskPage, TaskQuery};
use crate::ops::sweeps::{OutcomePage, Repeat, Repetition, Selection, Sweeps};
use crate::ops::tasks::{CancelSelection, IdempotencyKey, NewTask, StopAsked, Submission, TaskChange, Tasks};

pub(super) use cancel::{cancel, cancel_lost};

#[async_trait]
impl Tasks for PostgresStore {
    async fn submit(
        &self,
        creator: UserId,
        tasks: &[NewTask],
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Submission, StoreError> {
        write!(self, tx => submit::submit(tx, creator, tasks, key, now))
    }

    async fn tasks_seen_by(&self, user: UserId, tasks: &[Uuid]) -> Result<HashMap<Uuid, bool>, StoreError> {
        rights::seen(&self.client().await?, user, tasks).await
    }

    async fn task(&self, uuid: Uuid) -> Result<Option<Task>, StoreError> {
        get::by_uuid(&self.client().await?, uuid).await
    }

    async fn tasks(&self, uuids: &[Uuid]) -> Result<Vec<Task>, StoreError> {
        get::by_uuids(&self.client().await?, uuids).await
    }

    async fn task_uuids_between(
        &self,
        first: Uuid,
        last: Uuid,
        groups: &[GroupId],
        limit: u64,
    ) -> Result<Vec<Uuid>, StoreError> {
        find::between(&self.client().await?, first, last, groups, limit).await
    }

    async fn task_by_number(&self, group: GroupId, number: i64) -> Result<Option<Task>, StoreError> {
        find::by_number(&self.client().await?, group, number).await
    }

    async fn newest_task_of(&self, creator: UserId) -> Result<Option<Task>, StoreError> {
        find::newest_of(&self.client().await?, creator).await
    }

    async fn page_of_tasks(
        &self,
        query: &TaskQuery,
        page: Page,
        bytes: usize,
    ) -> Result<TaskPage, StoreError> {
        ask!(self, db => query::page(db, query, page, bytes))
    }

    async fn count_tasks(&self, query: &TaskQuery, most: u64, within: Duration) -> Result<Count, StoreError> {
        ask!(self, db => query::count(db, query, most, within))
    }

    async fn change_task(
        &self,
        by: By,
        uuid: Uuid,
        change: &TaskChange,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        write!(self, tx => change::change(tx, by, uuid, change, now))
    }

    async fn set_task_labels(
        &self,
        by: By,
        uuid: Uuid,
        labels: &Words,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        write!(self, tx => labels::set(tx, by, uuid, labels, now))
    }

    async fn cancel(
        &self,
        by: By,
        selection: &CancelSelection,
        now: Timestamp,
    ) -> Result<Vec<Uuid>, StoreError> {
        crash::point("cancel.marked:before");
        let cancelled = write!(self, tx => cancel::cancel(tx, by, selection, now));
        crash::point("cancel.marked:after");
        cancelled
    }

    async fn ask_to_stop(&self, by: By, uuid: Uuid, now: Timestamp) -> Result<StopAsked, StoreError> {
        write!(self, tx => stop::ask(tx, by, uuid, now))
    }
}

#[async_trait]
impl Sweeps for PostgresStore {
    async fn outcomes(
        &self,
        selection: &Selection,
        page: Page,
        bytes: usize,
    ) -> Result<OutcomePage, StoreError> {
        ask!(self, db => outcomes::outcomes(db, selection, page, bytes))
    }

    async fn selected(&self, selection: &Selection, page: Page) -> Result<Vec<Uuid>, StoreError> {
        ask!(self, db => query::selected_uuids(db, selection, page))
    }

    async fn repeat(
        &self,
        creator: UserId,
        repeats: &[Repeat],
        again: bool,
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Repetition, StoreError> {
        write!(self, tx => repeat::repeat(tx, creator, repeats, again, key, now))
    }
}
