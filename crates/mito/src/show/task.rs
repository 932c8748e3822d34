//! Shows tasks.

use std::time::Duration;

use mitosis_domain::explain::placement::describe_request;
use mitosis_protocol::stop::{DEFAULT_GRACE, StopSignal};
use mitosis_protocol::task::{RemoteFile, SubmitTaskReply, TaskDirectory};
use mitosis_protocol::{
    ArtifactInfo, ShellCode, TaskInfo, TaskResult, TaskSpec, TaskState, Termination, Uuid, WaitStatus,
    duration,
};
use serde::Serialize;

use super::artifact;
use super::record::{Cell, Column, Fact, Record};
use super::style::{TerminalStyle, Tone};
use super::text::{bytes, escaped};

/// A task with its exit code.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TaskShown {
    #[serde(flatten)]
    info: TaskInfo,
    /// The exit code, or 128 plus the signal number; null until the task has ended.
    exit_code: Option<ShellCode>,
    /// The artifacts; only when one task is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<Vec<ArtifactInfo>>,
}

impl From<TaskInfo> for TaskShown {
    fn from(info: TaskInfo) -> Self {
        let exit_code = exit_code(info.state, info.result);
        Self { info, exit_code, artifacts: None }
    }
}

impl TaskShown {
    pub(crate) fn with_artifacts(self, artifacts: Vec<ArtifactInfo>) -> Self {
        Self { artifacts: Some(artifacts), ..self }
    }

    fn number(&self) -> Cell {
        Cell::Text(format!("{}-{}", self.info.group_name, self.info.task_id))
    }

    fn state(&self) -> Cell {
        Cell::Toned(format!("{:?}", self.info.state), state_tone(self.info.state, self.info.result))
    }

    fn exit(&self) -> Cell {
        self.exit_code.map_or(Cell::Nothing, Cell::number)
    }

    fn message(&self) -> Cell {
        self.info
            .result
            .and_then(|result| result.msg)
            .map_or(Cell::Nothing, |msg| Cell::Text(format!("{msg:?}")))
    }
}

/// The exit code in the convention of a shell; none if the command did not run or has not ended.
pub(super) fn exit_code(state: TaskState, result: Option<TaskResult>) -> Option<ShellCode> {
    let status = result?.exit_status;
    match (state, status) {
        (TaskState::Cancelled, WaitStatus::SUCCESS) => None,
        _ => Some(status.shell_code()),
    }
}

/// The tone of a task's state.
pub(super) fn state_tone(state: TaskState, result: Option<TaskResult>) -> Tone {
    match (state, result) {
        (TaskState::Running, _) => Tone::Busy,
        (TaskState::Cancelled, _) => Tone::Bad,
        (TaskState::Finished, Some(result)) if !result.exit_status.is_success() => Tone::Bad,
        (TaskState::Finished, _) => Tone::Good,
        (TaskState::Pending | TaskState::Ready | TaskState::Unknown, _) => Tone::Plain,
    }
}

impl Record for TaskShown {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("task", Self::number),
        Column::new("state", Self::state),
        Column::new("exit", Self::exit),
        Column::shrinkable(1, "labels", |task| Cell::Words(task.info.labels.clone())),
        Column::new("created", |task| Cell::Time(task.info.created_at)),
        Column::shrinkable(2, "command", |task| Cell::Command(task.info.spec.args.clone())),
        Column::new("uuid", |task| Cell::text(task.info.uuid)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("uuid", |task| Cell::text(task.info.uuid)),
        Column::new("group_name", |task| Cell::text(&task.info.group_name)),
        Column::new("task_id", |task| Cell::Number(task.info.task_id)),
        Column::new("creator_username", |task| Cell::text(&task.info.creator_username)),
        Column::new("state", Self::state),
        Column::new("exit_code", Self::exit),
        Column::new("msg", Self::message),
        Column::new("priority", |task| Cell::number(task.info.priority)),
        Column::new("timeout", |task| Cell::Number(task.info.timeout)),
        Column::new("tags", |task| Cell::Words(task.info.tags.clone())),
        Column::new("labels", |task| Cell::Words(task.info.labels.clone())),
        Column::new("created_at", |task| Cell::Time(task.info.created_at)),
        Column::new("updated_at", |task| Cell::Time(task.info.updated_at)),
        Column::new("args", |task| Cell::Words(task.info.spec.args.clone())),
        Column::new("upstream_task_uuid", |task| Cell::optional(task.info.upstream_task_uuid)),
        Column::new("downstream_task_uuid", |task| Cell::optional(task.info.downstream_task_uuid)),
        Column::new("reporter_uuid", |task| Cell::optional(task.info.reporter_uuid)),
        Column::new("repeats_task_uuid", |task| Cell::optional(task.info.repeats_task_uuid)),
        Column::new("warnings", |task| {
            Cell::Words(task.info.warnings.iter().map(ToString::to_string).collect())
        }),
    ];

    fn id(&self) -> String {
        self.info.uuid.to_string()
    }

    fn facts(&self) -> Vec<Fact> {
        let task = &self.info;
        let mut facts = vec![
            ("uuid", Cell::text(task.uuid)),
            ("state", self.state()),
            (
                "task",
                Cell::Text(format!(
                    "{} of group {}, by {}",
                    task.task_id, task.group_name, task.creator_username
                )),
            ),
            ("tags", Cell::Words(task.tags.clone())),
            ("labels", Cell::Words(task.labels.clone())),
            ("timeout", Cell::Text(format!("{}, priority {}", seconds(task.timeout), task.priority))),
            ("created", Cell::Time(task.created_at)),
            ("updated", Cell::Time(task.updated_at)),
        ];
        facts.extend(spec(&task.spec));
        for (name, uuid) in [
            ("upstream", task.upstream_task_uuid),
            ("downstream", task.downstream_task_uuid),
            ("reporter", task.reporter_uuid),
            ("repeats", task.repeats_task_uuid),
        ] {
            facts.extend(uuid.map(|uuid| (name, Cell::text(uuid))));
        }
        facts.push((
            "result",
            task.result.map_or_else(|| Cell::text("none yet"), |result| outcome(task.state, result)),
        ));
        facts.extend(task.warnings.iter().map(|warning| ("warning", Cell::text(warning))));
        if let Some(artifacts) = &self.artifacts {
            facts.extend(artifact::facts(artifacts));
        }
        facts
    }
}

fn seconds(seconds: i64) -> String {
    duration::short(Duration::from_secs(seconds.max(0).unsigned_abs()))
}

/// The command of a task and its settings.
pub(super) fn spec(spec: &TaskSpec) -> Vec<Fact> {
    let mut facts = vec![("command", Cell::Command(spec.args.clone()))];
    facts.extend(spec.envs.iter().map(|(name, value)| ("variable", Cell::Text(format!("{name}={value}")))));
    facts.extend(spec.secrets.iter().map(|(variable, name)| {
        let text = if variable == name { name.clone() } else { format!("{variable}={name}") };
        ("secret", Cell::Text(text))
    }));
    facts
        .extend(spec.params.iter().map(|(name, value)| ("parameter", Cell::Text(format!("{name}={value}")))));
    facts.extend(spec.resources.iter().map(|resource| {
        let local = &resource.local_path;
        let text = match &resource.remote_file {
            RemoteFile::Artifact { uuid, content_type } => {
                format!("artifact {content_type} of {uuid} as {local}")
            }
            RemoteFile::Attachment { key } => format!("attachment {key} as {local}"),
        };
        ("resource", Cell::Text(text))
    }));
    facts.extend(spec.files.iter().map(|(path, text)| {
        let size = i64::try_from(text.len()).unwrap_or(i64::MAX);
        ("file", Cell::Text(format!("{path}, {}", bytes(size))))
    }));
    facts.extend(spec.stdin.as_ref().map(|path| ("input", Cell::Text(path.clone()))));
    facts.extend(
        spec.directory.as_ref().map(|directory| ("directory", Cell::Text(directory_text(directory)))),
    );
    if spec.terminal_output {
        facts.push(("terminal", Cell::text("kept")));
    }
    if !spec.request.is_default() {
        facts.push(("requests", Cell::Text(describe_request(&spec.request))));
    }
    facts.extend(spec.request.time.map(|time| ("time request", Cell::Text(duration::short(time)))));
    facts.extend(spec.lost_after.map(|limit| ("lost after", Cell::Text(duration::short(limit)))));
    if spec.idempotent {
        facts.push(("idempotent", Cell::text("may run twice at once")));
    }
    if spec.stop_signal.is_some() || spec.stop_grace.is_some() {
        let signal = spec.stop_signal.unwrap_or(StopSignal::TERM);
        let grace = duration::short(spec.stop_grace.unwrap_or(DEFAULT_GRACE));
        facts.push(("stopped by", Cell::Text(format!("{signal}, then SIGKILL after {grace}"))));
    }
    facts.extend(spec.watch.map(|(uuid, state)| ("watches", Cell::Text(format!("{uuid} until {state:?}")))));
    facts
}

/// Describes where a task starts.
pub(crate) fn directory_text(directory: &TaskDirectory) -> String {
    match directory {
        TaskDirectory::Fresh => "a fresh one".to_owned(),
        TaskDirectory::Prefer(path) => format!("{path}, or a fresh one"),
        TaskDirectory::Require(path) => path.clone(),
    }
}

/// Describes how a task ended.
pub(crate) fn ending(state: TaskState, result: TaskResult) -> String {
    if let (None, Some(msg)) = (exit_code(state, Some(result)), result.msg) {
        return format!("{msg:?}");
    }
    let status = match result.exit_status.termination() {
        Termination::Exited(code) => format!("exit code {code}"),
        Termination::Signalled(signal) => format!("killed by signal {signal}"),
    };
    match result.msg {
        Some(msg) => format!("{status}, {msg:?}"),
        None => status,
    }
}

fn outcome(state: TaskState, result: TaskResult) -> Cell {
    Cell::Toned(ending(state, result), state_tone(state, Some(result)))
}

/// The outcome of the submission of one task.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Submitted {
    /// The UUID; null if the task was refused.
    uuid: Option<Uuid>,
    group_name: String,
    task_id: Option<i64>,
    /// The reason of a refusal.
    error: Option<String>,
}

impl Submitted {
    pub(crate) fn taken(group_name: &str, task: SubmitTaskReply) -> Self {
        let SubmitTaskReply { task_id, uuid } = task;
        Self { uuid: Some(uuid), group_name: group_name.to_owned(), task_id: Some(task_id), error: None }
    }

    pub(crate) fn refused(group_name: &str, why: &str) -> Self {
        Self { uuid: None, group_name: group_name.to_owned(), task_id: None, error: Some(why.to_owned()) }
    }

    /// The line of the task. Scripts read its last word.
    fn sentence(&self) -> String {
        match (&self.uuid, self.task_id) {
            (Some(uuid), Some(number)) => format!("task {number} of group {}: {uuid}", self.group_name),
            _ => format!("refused: {}", self.error.as_deref().unwrap_or_default()),
        }
    }

    fn error(&self) -> Cell {
        self.error.clone().map_or(Cell::Nothing, |error| Cell::Toned(error, Tone::Bad))
    }
}

impl Record for Submitted {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("task", |task| match task.task_id {
            Some(number) => Cell::Text(format!("{}-{number}", task.group_name)),
            None => Cell::Nothing,
        }),
        Column::new("error", Self::error),
        Column::new("uuid", |task| Cell::optional(task.uuid)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("uuid", |task| Cell::optional(task.uuid)),
        Column::new("group_name", |task| Cell::text(&task.group_name)),
        Column::new("task_id", |task| task.task_id.map_or(Cell::Nothing, Cell::Number)),
        Column::new("error", Self::error),
    ];

    fn id(&self) -> String {
        self.uuid.map(|uuid| uuid.to_string()).unwrap_or_default()
    }

    fn line(&self, _: &TerminalStyle) -> String {
        escaped(&self.sentence())
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("task", Cell::Text(self.sentence()))]
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::TaskResultMessage as M;

    use super::*;

    #[test]
    fn task_that_never_ran_has_no_exit_code() {
        for (state, exit_status, msg, code, words) in [
            (TaskState::Finished, 0, None, Some(0), "exit code 0"),
            (TaskState::Finished, 9, None, Some(137), "killed by signal 9"),
            (TaskState::Cancelled, 9, Some(M::ExecTimeout), Some(137), "killed by signal 9, ExecTimeout"),
            (TaskState::Cancelled, 0, Some(M::UserCancellation), None, "UserCancellation"),
            (TaskState::Cancelled, 0, Some(M::ResourceNotFound), None, "ResourceNotFound"),
        ] {
            let result = TaskResult { exit_status: WaitStatus(exit_status), msg };
            assert_eq!(exit_code(state, Some(result)), code.map(ShellCode), "{msg:?}");
            assert_eq!(ending(state, result), words);
        }
        assert_eq!(exit_code(TaskState::Running, None), None);
    }
}
