//! Shows what commands have done to jobs and their tasks.

use mitosis_protocol::job::{JobChange, JobInfo, JobState};
use serde::Serialize;

use super::job::{title, word};
use super::outcome::Outcome;
use super::record::{Cell, Column};
use super::text::{bytes, escaped, pluralized};

/// The outcome of a cancellation.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct CancelOutcome {
    /// What was cancelled: `12`, `12/7`, or a UUID.
    pub(crate) selector: String,
    /// Tasks that were waiting.
    pub(crate) cancelled: u64,
    /// Running tasks whose workers were asked to stop them.
    pub(crate) stopping: u64,
    /// Running tasks that end by themselves, because their worker can't stop them.
    pub(crate) unstoppable: u64,
}

/// The outcome of a retry of tasks of a job.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RetryOutcome {
    pub(crate) selector: String,
    /// Tasks that wait for their next attempt.
    pub(crate) retried: u64,
}

/// The outcome of a change of a job.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChangeOutcome {
    job: i64,
    name: Option<String>,
    state: JobState,
    paused: bool,
    priority: i32,
    #[serde(skip)]
    change: JobChange,
}

/// The outcome of a deletion.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RemovalOutcome {
    pub(crate) job: i64,
    /// Deleted tasks.
    pub(crate) tasks: u64,
    /// Bytes of storage that are free again.
    pub(crate) freed_bytes: u64,
}

/// The subject of a sentence: `job 12`, `task 12/7`, or `tasks 12/1-50`.
fn subject(selector: &str) -> String {
    let many = |tasks: &str| tasks.contains(|character: char| !character.is_ascii_digit());
    match selector.split_once('/') {
        Some((_, tasks)) if many(tasks) => format!("tasks {selector}"),
        None if selector.bytes().all(|byte| byte.is_ascii_digit()) => format!("job {selector}"),
        _ => format!("task {selector}"),
    }
}

impl Outcome for CancelOutcome {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("selector", |outcome| Cell::text(&outcome.selector)),
        Column::new("cancelled", |outcome| Cell::text(outcome.cancelled)),
        Column::new("stopping", |outcome| Cell::text(outcome.stopping)),
        Column::new("unstoppable", |outcome| Cell::text(outcome.unstoppable)),
    ];

    fn subject_id(&self) -> String {
        self.selector.clone()
    }

    fn sentence(&self) -> String {
        let parts: Vec<String> = [
            (self.cancelled > 0).then(|| format!("cancelled {}", pluralized(self.cancelled, "task"))),
            (self.stopping > 0).then(|| format!("stopping {}", self.stopping)),
            (self.unstoppable > 0).then(|| format!("{} end by themselves", self.unstoppable)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let done = if parts.is_empty() { "nothing to cancel".to_owned() } else { parts.join(", ") };
        format!("{}: {done}", subject(&self.selector))
    }
}

impl Outcome for RetryOutcome {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("selector", |outcome| Cell::text(&outcome.selector)),
        Column::new("retried", |outcome| Cell::text(outcome.retried)),
    ];

    fn subject_id(&self) -> String {
        self.selector.clone()
    }

    fn sentence(&self) -> String {
        match self.retried {
            0 => format!("{}: nothing to retry", subject(&self.selector)),
            retried => format!("{}: retrying {}", subject(&self.selector), pluralized(retried, "task")),
        }
    }
}

impl ChangeOutcome {
    /// The change, and the job after it.
    pub(crate) fn new(info: JobInfo, change: &JobChange) -> Self {
        let JobInfo { job, name, state, priority, options, .. } = info;
        Self { job, name, state, paused: options.paused, priority, change: *change }
    }
}

impl Outcome for ChangeOutcome {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("job", |outcome| Cell::Number(outcome.job)),
        Column::new("name", |outcome| outcome.name.as_ref().map_or(Cell::Nothing, Cell::text)),
        Column::new("state", |outcome| Cell::Text(word(outcome.state))),
        Column::new("paused", |outcome| Cell::text(outcome.paused)),
        Column::new("priority", |outcome| Cell::number(outcome.priority)),
    ];

    fn subject_id(&self) -> String {
        self.job.to_string()
    }

    /// What has changed: `job 12 (train): paused`. The state of a job that has ended comes first: the change has no effect
    /// before a retry.
    fn sentence(&self) -> String {
        let state = self.state.has_ended().then(|| format!("already {}", word(self.state)));
        let paused = self.change.paused.map(|paused| if paused { "paused" } else { "resumed" }.to_owned());
        let priority = self.change.priority.map(|priority| format!("priority {priority}"));
        let words: Vec<String> = [state, paused, priority].into_iter().flatten().collect();
        escaped(&format!("{}: {}", title(self.job, self.name.as_deref()), words.join(", ")))
    }
}

impl Outcome for RemovalOutcome {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("job", |outcome| Cell::Number(outcome.job)),
        Column::new("tasks", |outcome| Cell::text(outcome.tasks)),
        Column::new("freed_bytes", |outcome| Cell::text(outcome.freed_bytes)),
    ];

    fn subject_id(&self) -> String {
        self.job.to_string()
    }

    fn sentence(&self) -> String {
        let freed = i64::try_from(self.freed_bytes).unwrap_or(i64::MAX);
        format!("job {}: deleted {}, freed {}", self.job, pluralized(self.tasks, "task"), bytes(freed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_names_its_subject_and_what_was_done() {
        let cancelled = |selector: &str, cancelled, stopping, unstoppable| {
            CancelOutcome { selector: selector.to_owned(), cancelled, stopping, unstoppable }.sentence()
        };
        assert_eq!(cancelled("12", 980, 4, 0), "job 12: cancelled 980 tasks, stopping 4");
        assert_eq!(cancelled("12/7", 1, 0, 0), "task 12/7: cancelled 1 task");
        assert_eq!(cancelled("12/1-50", 0, 0, 2), "tasks 12/1-50: 2 end by themselves");
        assert_eq!(cancelled("12/waiting", 0, 0, 0), "tasks 12/waiting: nothing to cancel");
        let uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
        assert_eq!(cancelled(uuid, 0, 1, 0), format!("task {uuid}: stopping 1"));
        let removed = RemovalOutcome { job: 12, tasks: 60, freed_bytes: 1_200_000 };
        assert_eq!(removed.sentence(), "job 12: deleted 60 tasks, freed 1.20 MB");
        let retried = |retried| RetryOutcome { selector: "12".to_owned(), retried }.sentence();
        assert_eq!(retried(3), "job 12: retrying 3 tasks");
        assert_eq!(retried(0), "job 12: nothing to retry");
        let changed = |state, paused, priority| {
            let change = JobChange { paused, priority, ..JobChange::default() };
            let name = Some("train".to_owned());
            ChangeOutcome { job: 12, name, state, paused: false, priority: 0, change }.sentence()
        };
        assert_eq!(changed(JobState::Paused, Some(true), None), "job 12 (train): paused");
        assert_eq!(changed(JobState::Running, Some(false), Some(-1)), "job 12 (train): resumed, priority -1");
        assert_eq!(changed(JobState::Failed, None, Some(5)), "job 12 (train): already failed, priority 5");
    }
}
