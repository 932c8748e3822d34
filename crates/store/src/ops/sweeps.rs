//! Tasks that belong together: how they ended, in a table; and those that failed, once more.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mitosis_domain::ids::{TaskId, UserId};
use mitosis_protocol::{ResultWarning, TaskResult, TaskState, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::query::{Page, TaskQuery};
use crate::ops::tasks::{IdempotencyKey, TaskIds};

/// Tasks of a query, narrowed to what repeating and results are about.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The tasks.
    pub query: TaskQuery,
    /// Only some of those that are over; `None` for all, over or not.
    pub over: Option<Over>,
    /// Without tasks that another one repeats: that one stands for them.
    pub latest: bool,
}

/// Tasks that are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// However they ended.
    AnyHow,
    /// Those that failed, in the sense of [`mitosis_domain::task::Ending::failed`].
    Failed,
}

/// A row of the table of results: a task without what its submitter knows anyway.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskOutcome {
    /// Internal identity; rows come with the largest first.
    pub id: TaskId,
    /// Global identity.
    pub uuid: Uuid,
    /// Number within the group, from 1.
    pub number: i64,
    /// The parameters that it was made with.
    pub params: BTreeMap<String, String>,
    /// Where it stands.
    pub state: TaskState,
    /// Once it is over.
    pub result: Option<TaskResult>,
    /// Submission.
    pub created_at: Timestamp,
    /// When the attempt that counts was handed to its worker. None for a task that waits or was
    /// cancelled while it did.
    pub started_at: Option<Timestamp>,
    /// When its result was committed.
    pub finished_at: Option<Timestamp>,
    /// The task that this one repeats.
    pub repeats: Option<Uuid>,
    /// The small JSON object that it left, as text.
    pub data: Option<String>,
    /// What of its output was not kept.
    pub warnings: Vec<ResultWarning>,
}

/// Rows of a page.
#[derive(Debug, Clone)]
pub struct OutcomePage {
    /// Newest first.
    pub outcomes: Vec<TaskOutcome>,
    /// False when there would be more, had they not been too large together.
    pub is_whole: bool,
}

impl OutcomePage {
    pub(crate) const fn empty() -> Self {
        Self { outcomes: Vec::new(), is_whole: true }
    }
}

/// About so many bytes is a row in a reply.
pub(crate) fn weight(outcome: &TaskOutcome) -> usize {
    const ROW: usize = 400;
    let params = outcome.params.iter().map(|(name, value)| name.len() + value.len() + 6).sum::<usize>();
    let warnings = serde_json::to_string(&outcome.warnings).map_or(0, |text| text.len());
    ROW + params + outcome.data.as_ref().map_or(0, String::len) + warnings
}

/// A task to be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// The task.
    pub of: Uuid,
    /// Global identity of the new one, version 4.
    pub uuid: Uuid,
}

/// A task that was repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated {
    /// The task.
    pub of: Uuid,
    /// The new one.
    pub ids: TaskIds,
}

/// Outcome of [`Sweeps::repeat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repetition {
    /// These are Ready, oldest original first. What is missing is not over, was repeated before, or
    /// is not for this creator to repeat.
    Accepted(Vec<Repeated>),
    /// The same key and request were accepted before; this is what was made then.
    Replayed(Vec<Repeated>),
    /// The key was used for a different request; nothing was done.
    KeyReused,
}

/// Results and repetitions.
#[async_trait]
pub trait Sweeps {
    /// One page of a selection, newest first, with no more than the table of results needs. It ends early once it has
    /// so many bytes, and has one row at least, if there is one.
    async fn outcomes(
        &self,
        selection: &Selection,
        page: Page,
        bytes: usize,
    ) -> Result<OutcomePage, StoreError>;

    /// One page of a selection, newest first.
    async fn selected(&self, selection: &Selection, page: Page) -> Result<Vec<Uuid>, StoreError>;

    /// Submits tasks again that are over: same group, tags, labels, priority, timeout and spec, by this
    /// creator, and each with a link to the one that it repeats. Tasks of groups in which the creator does
    /// not have Write are left out, and those that name a task that the creator may not see. Unless `again` is set, a task that
    /// another one repeats already is left out, however many ask at once. All in one transaction.
    async fn repeat(
        &self,
        creator: UserId,
        repeats: &[Repeat],
        again: bool,
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Repetition, StoreError>;
}
