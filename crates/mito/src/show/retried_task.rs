//! Shows retried tasks.

use mitosis_protocol::Uuid;
use mitosis_protocol::sweep::RetriedTask;
use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};
use super::style::TerminalStyle;

/// A new task, and the task that it repeats.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Retried {
    /// The new task.
    uuid: Uuid,
    task_id: i64,
    repeats_task_uuid: Uuid,
}

impl From<RetriedTask> for Retried {
    fn from(task: RetriedTask) -> Self {
        let RetriedTask { repeats_task_uuid, uuid, task_id } = task;
        Self { uuid, task_id, repeats_task_uuid }
    }
}

impl Retried {
    /// The line of the task. Scripts read its last word.
    fn sentence(&self) -> String {
        format!("task {} repeats {}: {}", self.task_id, self.repeats_task_uuid, self.uuid)
    }
}

impl Record for Retried {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("task", |task| Cell::Number(task.task_id)),
        Column::new("repeats", |task| Cell::text(task.repeats_task_uuid)),
        Column::new("uuid", |task| Cell::text(task.uuid)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("uuid", |task| Cell::text(task.uuid)),
        Column::new("task_id", |task| Cell::Number(task.task_id)),
        Column::new("repeats_task_uuid", |task| Cell::text(task.repeats_task_uuid)),
    ];

    fn id(&self) -> String {
        self.uuid.to_string()
    }

    fn line(&self, _: &TerminalStyle) -> String {
        self.sentence()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("task", Cell::Text(self.sentence()))]
    }
}
