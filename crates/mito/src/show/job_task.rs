//! Shows tasks of jobs.

use std::collections::BTreeMap;

use mitosis_protocol::explain::Explanation;
use mitosis_protocol::job::{AttemptCause, AttemptInfo, AttemptOutcome, JobTask, TaskCondition};
use mitosis_protocol::task::GetTaskReply;
use mitosis_protocol::usage::AttemptUsage;
use mitosis_protocol::{ArtifactInfo, ShellCode, TaskState};
use serde::Serialize;

use super::bytes;
use super::dynamic_columns::{Detail, DynamicRecord};
use super::job::word;
use super::record::{Cell, Column, Fact, Record};
use super::style::{TerminalStyle, Tone};
use super::task::{TaskShown, exit_code};
use super::task_document::TaskDocument;

/// A task of a job, in a list.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct JobTaskShown {
    job: i64,
    index: u64,
    state: TaskCondition,
    /// The exit code, or 128 plus the signal number; null until the task has ended.
    exit_code: Option<ShellCode>,
    attempt: i64,
    parameters: BTreeMap<String, String>,
    /// The task; null until the coordinator has written it.
    task: Option<TaskDocument>,
    /// Whether it waits for a task of another job.
    #[serde(skip)]
    is_blocked: bool,
    /// The names of the parameters in their order.
    #[serde(skip)]
    names: Vec<String>,
}

pub(super) fn condition_tone(state: TaskCondition) -> Tone {
    match state {
        TaskCondition::Waiting => Tone::Plain,
        TaskCondition::Running => Tone::Busy,
        TaskCondition::Succeeded => Tone::Good,
        TaskCondition::Failed | TaskCondition::TimedOut | TaskCondition::Cancelled => Tone::Bad,
    }
}

impl JobTaskShown {
    pub(crate) fn new(job: i64, task: JobTask) -> Self {
        let JobTask { index, state, task, parameters, attempt } = task;
        let exit_code = task.as_ref().and_then(|task| exit_code(task.state, task.result));
        let is_blocked = task.as_ref().is_some_and(|task| task.state == TaskState::Pending);
        let names = parameters.iter().map(|(name, _)| name.clone()).collect();
        Self {
            job,
            index,
            state,
            exit_code,
            attempt,
            parameters: parameters.into_iter().collect(),
            task: task.map(TaskDocument::from),
            is_blocked,
            names,
        }
    }

    fn state(&self) -> Cell {
        let word = if self.is_blocked { "blocked".to_owned() } else { word(self.state) };
        Cell::Toned(word, condition_tone(self.state))
    }
}

/// The columns before the parameters.
const TITLES: [&str; 4] = ["task", "state", "attempt", "exit"];

impl DynamicRecord for JobTaskShown {
    /// The parameters of all tasks; those of the first job come first, in its order.
    type Names = Vec<String>;

    fn names(all: &[Self]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for task in all {
            // Tasks of one job have the same parameters.
            if !names.ends_with(&task.names) {
                let new: Vec<String> =
                    task.names.iter().filter(|name| !names.contains(name)).cloned().collect();
                names.extend(new);
            }
        }
        names
    }

    fn titles(names: &Vec<String>, _: Detail) -> Vec<String> {
        let parameter = |name: &String| match TITLES.contains(&name.as_str()) {
            true => format!("param.{name}"),
            false => name.clone(),
        };
        TITLES.iter().map(ToString::to_string).chain(names.iter().map(parameter)).collect()
    }

    fn cells(&self, names: &Vec<String>, _: Detail) -> Vec<Cell> {
        let attempt = if self.attempt == 0 { Cell::Nothing } else { Cell::Number(self.attempt) };
        let exit = self.exit_code.map_or(Cell::Nothing, Cell::number);
        let parameter = |name| self.parameters.get(name).map_or(Cell::Nothing, Cell::text);
        [Cell::Text(DynamicRecord::id(self)), self.state(), attempt, exit]
            .into_iter()
            .chain(names.iter().map(parameter))
            .collect()
    }

    fn id(&self) -> String {
        format!("{}/{}", self.job, self.index)
    }
}

impl Record for JobTaskShown {
    const TABLE: &'static [Column<Self>] = Self::FIELDS;
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("job", |task| Cell::Number(task.job)),
        Column::new("index", |task| Cell::text(task.index)),
        Column::new("state", Self::state),
        Column::new("exit_code", |task| task.exit_code.map_or(Cell::Nothing, Cell::number)),
        Column::new("attempt", |task| Cell::Number(task.attempt)),
    ];

    fn id(&self) -> String {
        DynamicRecord::id(self)
    }

    /// The line of the task: `task 12/7: failed, exit code 3`.
    fn line(&self, _: &TerminalStyle) -> String {
        let exit = match (self.state, self.exit_code) {
            (TaskCondition::Failed, Some(code)) => format!(", exit code {code}"),
            _ => String::new(),
        };
        format!("task {}/{}: {}{exit}", self.job, self.index, word(self.state))
    }

    fn facts(&self) -> Vec<Fact> {
        let mut facts =
            vec![("job", Cell::Text(format!("{}, task {}", self.job, self.index))), ("state", self.state())];
        if self.task.is_none() && self.state == TaskCondition::Waiting {
            facts.push(("reason", Cell::text("its turn has not come: it gets a UUID when it can run soon")));
        }
        let parameters = self.names.iter().filter_map(|name| Some((name, self.parameters.get(name)?)));
        facts.extend(parameters.map(|(name, value)| ("parameter", Cell::Text(format!("{name}={value}")))));
        facts
    }
}

/// The place of a task in its job.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TaskOfJob {
    pub(crate) job: i64,
    pub(crate) index: u64,
}

/// All that is known of a task.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TaskDetail {
    /// Its place, if it belongs to a job.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    place: Option<TaskOfJob>,
    #[serde(flatten)]
    document: TaskDocument,
    artifacts: Vec<ArtifactInfo>,
    /// For people.
    #[serde(skip)]
    task: TaskShown,
    /// Why it waits, or what it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
    /// Its ended attempts, oldest first.
    attempts: Vec<AttemptInfo>,
}

impl TaskDetail {
    pub(crate) fn new(
        place: Option<TaskOfJob>,
        task: GetTaskReply,
        explanation: Option<Explanation>,
        attempts: Vec<AttemptInfo>,
    ) -> Self {
        let GetTaskReply { info, artifacts } = task;
        let document = TaskDocument::from(info.clone());
        let task = TaskShown::from(info).with_artifacts(artifacts.clone());
        Self { place, document, artifacts, task, explanation, attempts }
    }
}

impl Record for TaskDetail {
    const TABLE: &'static [Column<Self>] = &[Column::new("uuid", |task| Cell::Text(task.id()))];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("job", |task| task.place.as_ref().map_or(Cell::Nothing, |place| Cell::Number(place.job))),
        Column::new("index", |task| {
            task.place.as_ref().map_or(Cell::Nothing, |place| Cell::text(place.index))
        }),
        Column::new("uuid", |task| Cell::Text(task.id())),
        Column::new("explanation", |task| {
            task.explanation.as_ref().map_or(Cell::Nothing, |why| Cell::text(&why.text))
        }),
    ];

    fn id(&self) -> String {
        self.task.id()
    }

    fn facts(&self) -> Vec<Fact> {
        let mut facts: Vec<Fact> = Vec::new();
        let place = self.place.as_ref();
        facts.extend(place.map(|place| ("job", Cell::Text(format!("{}, task {}", place.job, place.index)))));
        for fact in self.task.facts() {
            if fact.0 != "state" {
                facts.push(fact);
                continue;
            }
            let state = self.document.state();
            facts.push(("state", Cell::Toned(word(state), condition_tone(state))));
            if let Some(why) = &self.explanation {
                facts.push(("reason", Cell::text(&why.text)));
                facts.extend(why.hint.iter().map(|hint| ("hint", Cell::text(hint))));
            }
        }
        facts.extend(self.attempts.iter().map(|attempt| ("attempt", described(attempt))));
        facts
    }
}

/// An attempt: `1: failed, exit code 3, on node-17 (worker 3f0c…), 2031-02-09 17:04:05`.
fn described(attempt: &AttemptInfo) -> Cell {
    let worker = match (attempt.worker, &attempt.host) {
        (Some(worker), Some(host)) => format!(", on {host} (worker {worker})"),
        (Some(worker), None) => format!(", on worker {worker}"),
        (None, _) => String::new(),
    };
    let usage = attempt.usage.map(used).unwrap_or_default();
    let start = format!("{}: {}{}{worker}{usage}, ", attempt.attempt, word(attempt.outcome), exit(attempt));
    Cell::Parts(vec![Cell::Text(start), Cell::Time(attempt.ended_at)])
}

/// What an attempt used: `, cpu 3.250s, memory 1.2 GB`.
fn used(usage: AttemptUsage) -> String {
    let memory = match i64::try_from(usage.peak_memory).unwrap_or(i64::MAX) {
        0 => String::new(),
        memory => format!(", memory {}", bytes(memory)),
    };
    format!(", cpu {}{memory}", seconds(usage.cpu_micros))
}

/// Seconds with three digits after the point.
fn seconds(micros: u64) -> String {
    format!("{}.{:03}s", micros / 1_000_000, micros / 1_000 % 1_000)
}

/// The cause of a failure, or the exit code. A command that did not start has no exit code.
fn exit(attempt: &AttemptInfo) -> String {
    let why = match attempt.cause {
        Some(AttemptCause::Oom) => "out of memory",
        Some(AttemptCause::OutputLimit) => "too much output",
        Some(AttemptCause::SpawnFailed) => "can't be started",
        Some(AttemptCause::ResourceFailed) => "an input is missing",
        _ => "",
    };
    match (attempt.outcome, attempt.exit_code) {
        (AttemptOutcome::Failed, _) if !why.is_empty() => format!(", {why}"),
        (AttemptOutcome::Failed, Some(code @ 1..)) => format!(", exit code {code}"),
        _ => String::new(),
    }
}

/// How an attempt ended: `attempt 1: failed, exit code 3`.
pub(crate) fn describe_attempt_end(attempt: &AttemptInfo) -> String {
    format!("attempt {}: {}{}", attempt.attempt, word(attempt.outcome), exit(attempt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::dynamic_columns::written;
    use crate::show::format::Format;
    use crate::show::output::Output;

    fn task(index: u64, parameters: &[(&str, &str)]) -> JobTaskShown {
        let parameters =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let task = JobTask { index, state: TaskCondition::Waiting, task: None, parameters, attempt: 0 };
        JobTaskShown::new(12, task)
    }

    #[test]
    fn parameters_are_the_last_columns_in_their_order() {
        let tasks = [task(7, &[("seed", "1"), ("rate", "0.1")]), task(8, &[("state", "x")]), task(9, &[])];
        let csv = written(&Output::fixed(Some(Format::Csv), false), &tasks);
        assert_eq!(
            csv,
            "task,state,attempt,exit,seed,rate,param.state\n12/7,waiting,,,1,0.1,\n12/8,waiting,,,,,x\n12/9,waiting,,,,,\n"
        );
        assert_eq!(written(&Output::fixed(Some(Format::Id), false), &tasks), "12/7\n12/8\n12/9\n");
        let json = written(&Output::fixed(Some(Format::Jsonl), false), &tasks[..1]);
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&object["job"], &object["index"], &object["parameters"]["rate"]),
            (&12.into(), &7.into(), &"0.1".into())
        );
    }
}
