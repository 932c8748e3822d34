//! Submission, lookup, change and cancellation of tasks.

mod cancel;
mod change;
mod find;
pub(crate) mod get;
pub(crate) mod insert;
mod intern;
mod labels;
mod outcomes;
mod query;
mod queue_depth;
pub(crate) mod repeat;
mod stop;
pub(crate) mod submit;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::failpoints;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::tags::TagSet;
use mitosis_domain::task::Task;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::rights;
use crate::StoreError;
use crate::backend::Backend;
use crate::ops::query::{Count, Page, TaskPage, TaskQuery};
use crate::ops::sweeps::{OutcomePage, Repeat, RepeatMode, Repetition, Selection, Sweeps};
use crate::ops::tasks::{
    CancelSelection, IdempotencyKey, NewTask, QueueDepth, StopRequested, Submission, TaskChange, Tasks,
};
use crate::ops::{Actor, Changed};

use insert::NewRow;

pub(crate) use cancel::{cancel, cancel_lost, end_ready};

#[async_trait]
impl<B: Backend> Tasks for B {
    async fn submit(
        &self,
        creator: UserId,
        tasks: &[NewTask],
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Changed<Submission>, StoreError> {
        let rows = NewRow::of_all(tasks).await?;
        self.write((creator, rows, key.cloned(), now), |db, (creator, rows, key, now)| {
            Box::pin(submit::submit(db, *creator, rows, key.as_ref(), *now))
        })
        .await
    }

    async fn tasks_seen_by(&self, user: UserId, tasks: &[Uuid]) -> Result<HashMap<Uuid, bool>, StoreError> {
        self.read((user, tasks.to_vec()), |db, (user, tasks)| Box::pin(rights::seen(db, *user, tasks))).await
    }

    async fn task(&self, uuid: Uuid) -> Result<Option<Task>, StoreError> {
        self.read(uuid, |db, uuid| Box::pin(get::by_uuid(db, *uuid))).await
    }

    async fn tasks(&self, uuids: &[Uuid]) -> Result<Vec<Task>, StoreError> {
        self.read(uuids.to_vec(), |db, uuids| Box::pin(get::by_uuids(db, uuids))).await
    }

    async fn task_uuids_between(
        &self,
        first: Uuid,
        last: Uuid,
        groups: &[GroupId],
        limit: u64,
    ) -> Result<Vec<Uuid>, StoreError> {
        self.read((first, last, groups.to_vec(), limit), |db, (first, last, groups, limit)| {
            Box::pin(find::between(db, *first, *last, groups, *limit))
        })
        .await
    }

    async fn task_by_number(&self, group: GroupId, number: i64) -> Result<Option<Task>, StoreError> {
        self.read((group, number), |db, (group, number)| Box::pin(find::by_number(db, *group, *number))).await
    }

    async fn newest_task_of(&self, creator: UserId) -> Result<Option<Task>, StoreError> {
        self.read(creator, |db, creator| Box::pin(find::newest_of(db, *creator))).await
    }

    async fn page_of_tasks(
        &self,
        query: &TaskQuery,
        page: Page,
        bytes: usize,
    ) -> Result<TaskPage, StoreError> {
        self.read_for_user((query.clone(), page, bytes), |db, (query, page, bytes)| {
            Box::pin(query::page(db, query, *page, *bytes))
        })
        .await
    }

    async fn count_tasks(&self, query: &TaskQuery, most: u64, within: Duration) -> Result<Count, StoreError> {
        self.read_for_user_within(within, (query.clone(), most), |db, (query, most)| {
            Box::pin(query::count(db, query, *most))
        })
        .await
    }

    async fn queue_depth(&self, most: u64, within: Duration) -> Result<QueueDepth, StoreError> {
        self.read_for_user_within(within, most, |db, most| Box::pin(queue_depth::queue_depth(db, *most)))
            .await
    }

    async fn change_task(
        &self,
        actor: Actor,
        uuid: Uuid,
        change: &TaskChange,
        now: Timestamp,
    ) -> Result<Changed<bool>, StoreError> {
        self.write((actor, uuid, change.clone(), now), |db, (actor, uuid, change, now)| {
            Box::pin(change::change(db, *actor, *uuid, change, *now))
        })
        .await
    }

    async fn set_task_labels(
        &self,
        actor: Actor,
        uuid: Uuid,
        labels: &TagSet,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write((actor, uuid, labels.clone(), now), |db, (actor, uuid, labels, now)| {
            Box::pin(labels::set(db, *actor, *uuid, labels, *now))
        })
        .await
    }

    async fn cancel(
        &self,
        actor: Actor,
        selection: &CancelSelection,
        now: Timestamp,
    ) -> Result<Changed<Vec<Uuid>>, StoreError> {
        failpoints::point("cancel.marked:before");
        let cancelled = self.write((actor, selection.clone(), now), |db, (actor, selection, now)| {
            Box::pin(cancel::cancel(db, *actor, selection, *now))
        });
        let cancelled = cancelled.await;
        failpoints::point("cancel.marked:after");
        cancelled
    }

    async fn request_stops(
        &self,
        actor: Actor,
        tasks: &[Uuid],
        now: Timestamp,
    ) -> Result<Changed<Vec<StopRequested>>, StoreError> {
        self.write((actor, tasks.to_vec(), now), |db, (actor, tasks, now)| {
            Box::pin(stop::request(db, *actor, tasks, *now))
        })
        .await
    }
}

#[async_trait]
impl<B: Backend> Sweeps for B {
    async fn outcomes(
        &self,
        selection: &Selection,
        page: Page,
        bytes: usize,
    ) -> Result<OutcomePage, StoreError> {
        self.read_for_user((selection.clone(), page, bytes), |db, (selection, page, bytes)| {
            Box::pin(outcomes::outcomes(db, selection, *page, *bytes))
        })
        .await
    }

    async fn selected(&self, selection: &Selection, page: Page) -> Result<Vec<Uuid>, StoreError> {
        self.read_for_user((selection.clone(), page), |db, (selection, page)| {
            Box::pin(query::selected_uuids(db, selection, *page))
        })
        .await
    }

    async fn repeat(
        &self,
        creator: UserId,
        repeats: &[Repeat],
        mode: RepeatMode,
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Changed<Repetition>, StoreError> {
        self.write(
            (creator, repeats.to_vec(), mode, key.cloned(), now),
            |db, (creator, repeats, mode, key, now)| {
                Box::pin(repeat::repeat(db, *creator, repeats, *mode, key.as_ref(), *now))
            },
        )
        .await
    }
}
