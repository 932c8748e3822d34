//! Outcomes of tasks in a table, and repetition of tasks.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mitosis_domain::ids::{JobId, TaskId, UserId};
use mitosis_protocol::usage::AttemptUsage;
use mitosis_protocol::{ResultWarning, TaskResult, TaskState, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::Changed;
use crate::ops::query::{Page, TaskQuery};
use crate::ops::tasks::{IdempotencyKey, TaskIds};

/// A query for tasks, with conditions for outcomes and repetitions.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The query.
    pub query: TaskQuery,
    /// Which ended tasks to select; `None` for all tasks, ended or not.
    pub ended: Option<EndedTasks>,
    /// Whether to exclude tasks that another task repeats, since that one replaces them.
    pub latest: bool,
}

/// A condition on ended tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedTasks {
    /// All ended tasks.
    Any,
    /// Failed tasks, as defined by [`mitosis_domain::task::Ending::failed`].
    Failed,
}

/// A row of the table of results: a task without what its submitter already knows.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskOutcome {
    /// The internal id; rows are ordered by it, largest first.
    pub id: TaskId,
    /// The UUID.
    pub uuid: Uuid,
    /// The number within the group, from 1.
    pub number: i64,
    /// The job, and the index within it, from 1.
    pub place: Option<(JobId, u64)>,
    /// The sweep parameters.
    pub params: BTreeMap<String, String>,
    /// The state.
    pub state: TaskState,
    /// The result of an ended task.
    pub result: Option<TaskResult>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When the attempt that counts was claimed. None for a waiting task, and for one that was cancelled while
    /// it waited.
    pub started_at: Option<Timestamp>,
    /// When the result was committed.
    pub finished_at: Option<Timestamp>,
    /// The task that this one repeats.
    pub repeats: Option<Uuid>,
    /// The JSON object in the task's `result.json`, as text.
    pub data: Option<String>,
    /// Warnings about outputs that were not stored.
    pub warnings: Vec<ResultWarning>,
    /// What its command used, if the worker measured it.
    pub usage: Option<AttemptUsage>,
}

/// The outcomes of a page.
#[derive(Debug, Clone)]
pub struct OutcomePage {
    /// The outcomes, newest first.
    pub outcomes: Vec<TaskOutcome>,
    /// False if the page ended at its size limit.
    pub is_complete: bool,
}

impl OutcomePage {
    pub(crate) const fn empty() -> Self {
        Self { outcomes: Vec::new(), is_complete: true }
    }
}

/// The approximate size of a row in a reply, in bytes.
pub(crate) fn approximate_size(outcome: &TaskOutcome) -> usize {
    const ROW: usize = 400;
    let params = outcome.params.iter().map(|(name, value)| name.len() + value.len() + 6).sum::<usize>();
    let warnings = serde_json::to_string(&outcome.warnings).map_or(0, |text| text.len());
    ROW + params + outcome.data.as_ref().map_or(0, String::len) + warnings
}

/// A task to repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// The original task.
    pub of: Uuid,
    /// The UUID of the new task, version 4.
    pub uuid: Uuid,
}

/// Whether to repeat a task that another one repeats already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepeatMode {
    /// Skip it.
    Once,
    /// Repeat it once more.
    Again,
}

/// A repeated task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated {
    /// The original task.
    pub of: Uuid,
    /// The ids of the new task.
    pub ids: TaskIds,
}

/// Outcome of [`Sweeps::repeat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repetition {
    /// These tasks are Ready, oldest original first. Originals are missing if they have not ended, were
    /// repeated before, or may not be repeated by this creator.
    Accepted(Vec<Repeated>),
    /// The same key and request were accepted before, with this outcome.
    Replayed(Vec<Repeated>),
    /// Refused: the key was used for a different request.
    KeyReused,
}

/// Operations on outcomes and repetitions.
#[async_trait]
pub trait Sweeps {
    /// Reads one page of the table of results, newest first. It ends after about `bytes` bytes, but has at
    /// least one row, if there is one.
    async fn outcomes(
        &self,
        selection: &Selection,
        page: Page,
        bytes: usize,
    ) -> Result<OutcomePage, StoreError>;

    /// Reads one page of a selection, newest first.
    async fn selected(&self, selection: &Selection, page: Page) -> Result<Vec<Uuid>, StoreError>;

    /// Submits ended tasks again in one transaction, with the same group, tags, labels, priority, timeout and
    /// spec, by this creator. Each new task has a link to the original. Tasks of groups in which the creator
    /// lacks Write are skipped, and so are those that refer to a task that the creator may not see. With
    /// [`RepeatMode::Once`], a task that has been repeated is skipped, even under concurrent calls.
    async fn repeat(
        &self,
        creator: UserId,
        repeats: &[Repeat],
        mode: RepeatMode,
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Changed<Repetition>, StoreError>;
}
