//! The outputs of ended tasks.

use std::collections::HashMap;

use async_trait::async_trait;
use mitosis_protocol::{ResultWarning, TaskResult};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::artifacts::SmallArchive;

/// How a task ended, and the log that is kept of it.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedOutput {
    /// The name of the group that owns the task.
    pub group_name: String,
    /// The result of the task.
    pub result: TaskResult,
    /// Warnings about outputs that were not stored.
    pub warnings: Vec<ResultWarning>,
    /// The log, if one is kept.
    pub log: Option<StoredLog>,
}

/// The `std-log` archive of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredLog {
    /// In the database, or in an object with others: the `.tar.gz` file.
    Small(SmallArchive),
    /// In an object of its own.
    Object,
}

/// Operations on the outputs of ended tasks.
#[async_trait]
pub trait Outputs {
    /// Reads the outputs of those of the tasks that have ended, by their UUIDs.
    async fn ended_outputs(&self, tasks: &[Uuid]) -> Result<HashMap<Uuid, EndedOutput>, StoreError>;

    /// Whether a task has ended.
    async fn has_ended(&self, task: Uuid) -> Result<bool, StoreError>;
}
