//! Shows state changes of tasks.

use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::{ShellCode, TaskState, Timestamp, Uuid};
use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};
use super::style::{TerminalStyle, Tone};
use super::task::{ending, exit_code, state_tone};
use super::text::escaped;

/// The state of a task since a point in time.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TaskChange {
    uuid: Uuid,
    group_name: String,
    task_id: i64,
    state: TaskState,
    /// The exit code, or 128 plus the signal number; null until the task has ended.
    exit_code: Option<ShellCode>,
    /// The reason of the end, if the exit code does not show it.
    msg: Option<String>,
    at: Timestamp,
    #[serde(skip)]
    tone: Tone,
    #[serde(skip)]
    words: String,
}

impl From<TaskEvent> for TaskChange {
    fn from(event: TaskEvent) -> Self {
        Self {
            uuid: event.uuid,
            group_name: event.group_name,
            task_id: event.task_id,
            state: event.state,
            exit_code: exit_code(event.state, event.result),
            msg: event.result.and_then(|result| result.msg).map(|msg| format!("{msg:?}")),
            at: event.at,
            tone: state_tone(event.state, event.result),
            words: event.result.map(|result| ending(event.state, result)).unwrap_or_default(),
        }
    }
}

impl TaskChange {
    pub(crate) fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn number(&self) -> Cell {
        Cell::Text(format!("{}-{}", self.group_name, self.task_id))
    }

    fn state(&self) -> Cell {
        Cell::Toned(format!("{:?}", self.state), self.tone)
    }

    fn exit(&self) -> Cell {
        self.exit_code.map_or(Cell::Nothing, Cell::number)
    }

    fn message(&self) -> Cell {
        self.msg.clone().map_or(Cell::Nothing, Cell::Text)
    }
}

#[cfg(test)]
impl TaskChange {
    pub(crate) fn set_time(&mut self, at: Timestamp) {
        self.at = at;
    }
}

impl Record for TaskChange {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("task", Self::number),
        Column::new("state", Self::state),
        Column::new("exit", Self::exit),
        Column::new("message", Self::message),
        Column::new("at", |task| Cell::Time(task.at)),
        Column::new("uuid", |task| Cell::text(task.uuid)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("uuid", |task| Cell::text(task.uuid)),
        Column::new("group_name", |task| Cell::text(&task.group_name)),
        Column::new("task_id", |task| Cell::Number(task.task_id)),
        Column::new("state", Self::state),
        Column::new("exit_code", Self::exit),
        Column::new("msg", Self::message),
        Column::new("at", |task| Cell::Time(task.at)),
    ];

    fn id(&self) -> String {
        self.uuid.to_string()
    }

    /// The line of the task. Scripts read its last word.
    fn line(&self, _: &TerminalStyle) -> String {
        let state = format!("{:?}", self.state);
        let ending = if self.words.is_empty() { String::new() } else { format!(", {}", self.words) };
        format!(
            "task {} of group {}: {state}{ending}: {}",
            self.task_id,
            escaped(&self.group_name),
            self.uuid
        )
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("task", self.number()), ("state", self.state()), ("at", Cell::Time(self.at))]
    }
}
