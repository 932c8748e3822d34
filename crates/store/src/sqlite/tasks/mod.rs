//! Submission, lookup, change and cancellation of tasks.

mod cancel;
mod change;
mod find;
pub(super) mod get;
pub(super) mod insert;
pub(super) mod intern;
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

use super::{SqliteStore, rights};
use crate::StoreError;
use crate::ops::By;
use crate::ops::query::{Count, Page, TaskPage, TaskQuery};
use crate::ops::sweeps::{OutcomePage, Repeat, Repetition, Selection, Sweeps};
use crate::ops::tasks::{CancelSelection, IdempotencyKey, NewTask, StopAsked, Submission, TaskChange, Tasks};

pub(super) use cancel::{cancel, cancel_lost};

#[async_trait]
impl Tasks for SqliteStore {
    async fn submit(
        &self,
        creator: UserId,
        tasks: &[NewTask],
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Submission, StoreError> {
        let rows = insert::to_rows(tasks).await?;
        let key = key.cloned();
        self.write(move |db| submit::submit(db, creator, &rows, key.as_ref(), now)).await
    }

    async fn tasks_seen_by(&self, user: UserId, tasks: &[Uuid]) -> Result<HashMap<Uuid, bool>, StoreError> {
        let tasks = tasks.to_vec();
        self.read(move |db| rights::seen(db, user, &tasks)).await
    }

    async fn task(&self, uuid: Uuid) -> Result<Option<Task>, StoreError> {
        self.read(move |db| get::by_uuid(db, uuid)).await
    }

    async fn tasks(&self, uuids: &[Uuid]) -> Result<Vec<Task>, StoreError> {
        let uuids = uuids.to_vec();
        self.read(move |db| get::by_uuids(db, &uuids)).await
    }

    async fn task_uuids_between(
        &self,
        first: Uuid,
        last: Uuid,
        groups: &[GroupId],
        limit: u64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let groups = groups.to_vec();
        self.read(move |db| find::between(db, first, last, &groups, limit)).await
    }

    async fn task_by_number(&self, group: GroupId, number: i64) -> Result<Option<Task>, StoreError> {
        self.read(move |db| find::by_number(db, group, number)).await
    }

    async fn newest_task_of(&self, creator: UserId) -> Result<Option<Task>, StoreError> {
        self.read(move |db| find::newest_of(db, creator)).await
    }

    async fn page_of_tasks(
        &self,
        query: &TaskQuery,
        page: Page,
        bytes: usize,
    ) -> Result<TaskPage, StoreError> {
        let query = query.clone();
        self.answer(move |db| query::page(db, &query, page, bytes)).await
    }

    async fn count_tasks(&self, query: &TaskQuery, most: u64, within: Duration) -> Result<Count, StoreError> {
        let query = query.clone();
        self.questions.run_within(within, move |db| query::count(db, &query, most)).await
    }

    async fn change_task(
        &self,
        by: By,
        uuid: Uuid,
        change: &TaskChange,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let change = change.clone();
        self.write(move |db| change::change(db, by, uuid, &change, now)).await
    }

    async fn set_task_labels(
        &self,
        by: By,
        uuid: Uuid,
        labels: &Words,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let labels = labels.clone();
        self.write(move |db| labels::set(db, by, uuid, &labels, now)).await
    }

    async fn cancel(
        &self,
        by: By,
        selection: &CancelSelection,
        now: Timestamp,
    ) -> Result<Vec<Uuid>, StoreError> {
        let selection = selection.clone();
        crash::point("cancel.marked:before");
        let cancelled = self.write(move |db| cancel::cancel(db, by, &selection, now)).await;
        crash::point("cancel.marked:after");
        cancelled
    }

    async fn ask_to_stop(&self, by: By, uuid: Uuid, now: Timestamp) -> Result<StopAsked, StoreError> {
        self.write(move |db| stop::ask(db, by, uuid, now)).await
    }
}

#[async_trait]
impl Sweeps for SqliteStore {
    async fn outcomes(
        &self,
        selection: &Selection,
        page: Page,
        bytes: usize,
    ) -> Result<OutcomePage, StoreError> {
        let selection = selection.clone();
        self.answer(move |db| outcomes::outcomes(db, &selection, page, bytes)).await
    }

    async fn selected(&self, selection: &Selection, page: Page) -> Result<Vec<Uuid>, StoreError> {
        let selection = selection.clone();
        self.answer(move |db| query::selected_uuids(db, &selection, page)).await
    }

    async fn repeat(
        &self,
        creator: UserId,
        repeats: &[Repeat],
        again: bool,
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Repetition, StoreError> {
        let (repeats, key) = (repeats.to_vec(), key.cloned());
        self.write(move |db| repeat::repeat(db, creator, &repeats, again, key.as_ref(), now)).await
    }
}
