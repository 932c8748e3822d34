//! Shows jobs.

use mitosis_protocol::duration;
use mitosis_protocol::job::{JobInfo, JobNeed, JobReply, JobState, NeedKind, StopCause, SubmittedJob};
use mitosis_protocol::notify::{NotificationInfo, NotificationState, NotifyOn};
use mitosis_protocol::retry::RetryPolicy;
use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};
use super::result::rfc3339;
use super::style::{TerminalStyle, Tone};
use super::task;
use super::text::{escaped, pluralized};

/// A job and its progress.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct JobShown {
    #[serde(flatten)]
    info: JobInfo,
}

/// The title of a job in sentences: `job 12 (train)`.
pub(crate) fn title(job: i64, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("job {job} ({name})"),
        None => format!("job {job}"),
    }
}

/// Why a job makes no progress, or why it was stopped; `None` if it waits for workers, runs or has just ended.
pub(crate) fn reason(job: &JobInfo) -> Option<String> {
    if let Some(cause) = job.stopped {
        return Some(stop_reason(job, cause));
    }
    if job.state.has_ended() {
        return None;
    }
    // Tasks of other jobs don't hold up those that need others.
    let is_blocked = job.counts.blocked > 0 && job.counts.waiting + job.counts.running == 0;
    let is_unmet = |need: &&JobNeed| !need.met && (need.kind != NeedKind::Each || is_blocked);
    let unmet: Vec<String> = job.needs.iter().filter(is_unmet).map(unmet).collect();
    if !unmet.is_empty() {
        return Some(format!("waits for {}", unmet.join(" and ")));
    }
    if job.options.paused {
        let rest = match job.counts.running {
            0 => String::new(),
            running => format!(" ({} continue)", pluralized(running, "running task")),
        };
        return Some(format!("paused{rest}; `mito resume {}` resumes it", job.job));
    }
    if job.state == JobState::Blocked && job.options.start_after.is_some() {
        return Some("waits for its start time".to_owned());
    }
    let limit = job.options.max_running.filter(|limit| job.counts.running >= *limit);
    limit.map(|limit| format!("at its limit of {}", pluralized(limit, "running task")))
}

fn stop_reason(job: &JobInfo, cause: StopCause) -> String {
    match cause {
        StopCause::Cancelled => "cancelled by a user".to_owned(),
        StopCause::MaxFailures => {
            let most = job.options.max_failures.unwrap_or_default();
            format!("stopped because more than {} failed", pluralized(most, "task"))
        }
        StopCause::Expired => "stopped because it expired".to_owned(),
        StopCause::DependencyFailed => match job.stopped_by {
            Some(other) => format!("stopped because job {other} did not succeed"),
            None => "stopped because a job that it needs did not succeed".to_owned(),
        },
    }
}

fn unmet(need: &JobNeed) -> String {
    match need.kind {
        NeedKind::Succeeded => format!("job {} to succeed", need.job),
        NeedKind::Ended => format!("job {} to end", need.job),
        NeedKind::Each => format!("the tasks of job {}", need.job),
    }
}

/// The wire word for a value of an enumeration, with spaces.
pub(super) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        _ => String::new(),
    }
}

pub(super) fn state_tone(state: JobState) -> Tone {
    match state {
        JobState::Blocked | JobState::Waiting | JobState::Paused => Tone::Plain,
        JobState::Running => Tone::Busy,
        JobState::Succeeded => Tone::Good,
        JobState::Failed | JobState::Cancelled => Tone::Bad,
    }
}

impl From<JobInfo> for JobShown {
    fn from(info: JobInfo) -> Self {
        Self { info }
    }
}

impl JobShown {
    pub(crate) fn info(&self) -> &JobInfo {
        &self.info
    }

    fn name(&self) -> Cell {
        self.info.name.as_ref().map_or(Cell::Nothing, Cell::text)
    }

    fn state(&self) -> Cell {
        let state = word(self.info.state);
        Cell::Toned(format!("{state}{}", self.continuing()), state_tone(self.info.state))
    }

    fn progress(&self) -> Cell {
        Cell::Text(format!("{}/{}", self.info.counts.ended(), self.info.tasks))
    }

    fn failed(&self) -> u64 {
        self.info.counts.failed + self.info.counts.timed_out
    }

    /// The counts that are not zero: `60 succeeded, 3 failed, 4 running`.
    fn counts(&self) -> String {
        let counts = &self.info.counts;
        let words: Vec<String> = [
            (counts.succeeded, "succeeded"),
            (counts.failed, "failed"),
            (counts.timed_out, "timed out"),
            (counts.cancelled, "cancelled"),
            (counts.running, "running"),
            (counts.waiting, "waiting"),
            (counts.blocked, "blocked"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
        words.join(", ")
    }

    /// How many tasks of a paused job continue: `, 2 running`.
    fn continuing(&self) -> String {
        match (self.info.state, self.info.counts.running) {
            (JobState::Paused, running @ 1..) => format!(", {running} running"),
            _ => String::new(),
        }
    }

    /// The line of the job: `job 12 (train): running, 63/100 tasks ended, 3 failed`.
    pub(crate) fn sentence(&self) -> String {
        let info = &self.info;
        let ended = info.counts.ended();
        let of = if ended == info.tasks { String::new() } else { format!("{ended}/") };
        let tasks = pluralized(info.tasks, "task").to_string();
        let end = if ended == info.tasks { "" } else { " ended" };
        let failed = match self.failed() {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let title = title(info.job, info.name.as_deref());
        let state = word(info.state);
        escaped(&format!("{title}: {state}{}, {of}{tasks}{end}{failed}", self.continuing()))
    }
}

impl Record for JobShown {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("job", |job| Cell::Number(job.info.job)),
        Column::shrinkable(1, "name", Self::name),
        Column::new("state", Self::state),
        Column::new("progress", Self::progress),
        Column::new("failed", |job| Cell::nonzero(job.failed(), Tone::Bad)),
        Column::new("age", |job| Cell::Age(job.info.created_at)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("job", |job| Cell::Number(job.info.job)),
        Column::new("name", Self::name),
        Column::new("group", |job| Cell::text(&job.info.group)),
        Column::new("creator", |job| Cell::text(&job.info.creator)),
        Column::new("state", |job| Cell::Text(word(job.info.state).replace(' ', "_"))),
        Column::new("tasks", |job| Cell::text(job.info.tasks)),
        Column::new("waiting", |job| Cell::text(job.info.counts.waiting)),
        Column::new("blocked", |job| Cell::text(job.info.counts.blocked)),
        Column::new("running", |job| Cell::text(job.info.counts.running)),
        Column::new("succeeded", |job| Cell::text(job.info.counts.succeeded)),
        Column::new("failed", |job| Cell::text(job.info.counts.failed)),
        Column::new("timed_out", |job| Cell::text(job.info.counts.timed_out)),
        Column::new("cancelled", |job| Cell::text(job.info.counts.cancelled)),
        Column::new("priority", |job| Cell::number(job.info.priority)),
        Column::new("labels", |job| Cell::Words(job.info.labels.clone())),
        Column::new("created_at", |job| Cell::Time(job.info.created_at)),
        Column::new("ended_at", |job| job.info.ended_at.map_or(Cell::Nothing, Cell::Time)),
    ];

    fn id(&self) -> String {
        self.info.job.to_string()
    }

    fn line(&self, _: &TerminalStyle) -> String {
        self.sentence()
    }

    fn facts(&self) -> Vec<Fact> {
        let info = &self.info;
        let options = &info.options;
        let mut facts = vec![
            ("job", Cell::Text(title(info.job, info.name.as_deref()).trim_start_matches("job ").to_owned())),
            ("state", self.state()),
        ];
        facts.extend(reason(info).map(|reason| ("reason", Cell::Text(reason))));
        facts.extend([
            ("tasks", Cell::Text(format!("{}: {}", info.tasks, self.counts()))),
            ("group", Cell::Text(format!("{}, by {}", info.group, info.creator))),
            ("labels", Cell::Words(info.labels.clone())),
            ("priority", Cell::number(info.priority)),
            ("submitted", Cell::Time(info.created_at)),
        ]);
        facts.extend(info.ended_at.map(|at| ("ended", Cell::Time(at))));
        facts.extend(info.needs.iter().map(|need| ("needs", Cell::Text(needed(need)))));
        facts.extend(options.start_after.map(|at| ("starts", Cell::Time(at))));
        facts.extend(options.expires_at.map(|at| ("expires", Cell::Time(at))));
        let limits = [("running", options.max_running), ("failures", options.max_failures)];
        let limits = limits.into_iter().filter_map(|(what, most)| Some(format!("at most {} {what}", most?)));
        let limits: Vec<String> = limits.collect();
        facts.extend(
            info.limits.iter().map(|limit| ("uses", Cell::Text(format!("{} of {}", limit.uses, limit.name)))),
        );
        if !limits.is_empty() {
            facts.push(("limits", Cell::Text(limits.join(", "))));
        }
        facts.extend(info.retry.as_ref().map(|policy| ("retries", Cell::Text(retries(policy)))));
        facts
    }
}

/// A policy for retries: `at most 3, on exit=1 or timeout, after 1s to 5m`.
fn retries(policy: &RetryPolicy) -> String {
    let RetryPolicy { retries, on, backoff, max_backoff } = policy;
    let causes: Vec<String> = on.iter().map(ToString::to_string).collect();
    let causes = if causes.is_empty() { String::new() } else { format!(", on {}", causes.join(" or ")) };
    let (first, longest) = (duration::short(*backoff), duration::short(*max_backoff));
    let wait = if first == longest { first } else { format!("{first} to {longest}") };
    format!("at most {retries}{causes}, after {wait}")
}

/// A notification: `https://hooks.example.org: waiting after 2 attempts, next at …: status 500`.
fn notification(one: &NotificationInfo) -> String {
    let NotificationInfo { to, on, state, attempts, last_error, next_attempt_at, ended_at } = one;
    let attempts = match attempts {
        0 => String::new(),
        1 => " after 1 attempt".to_owned(),
        attempts => format!(" after {attempts} attempts"),
    };
    let what = match (state, on) {
        (NotificationState::Planned, NotifyOn::End) => "when the job ends",
        (NotificationState::Planned, NotifyOn::Failure) => "if the job fails",
        (NotificationState::Waiting, _) => "waiting",
        (NotificationState::Delivered, _) => "delivered",
        (NotificationState::Failed, _) => "not delivered",
    };
    let time = match (next_attempt_at, ended_at) {
        (Some(next), _) => format!(", next at {}", rfc3339(*next)),
        (None, Some(end)) => format!(" at {}", rfc3339(*end)),
        (None, None) => String::new(),
    };
    let error = match (state, last_error) {
        (NotificationState::Delivered, _) | (_, None) => String::new(),
        (_, Some(error)) => format!(": {error}"),
    };
    escaped(&format!("{to}: {what}{attempts}{time}{error}"))
}

fn needed(need: &JobNeed) -> String {
    match need.kind {
        NeedKind::Succeeded if need.met => format!("job {}, which has succeeded", need.job),
        NeedKind::Ended if need.met => format!("job {}, which has ended", need.job),
        NeedKind::Each => format!("job {}, each task that with the same index", need.job),
        _ => unmet(need),
    }
}

/// A job with its task and parameters, and why it makes no progress.
#[derive(Debug, Serialize)]
pub(crate) struct JobDetail {
    #[serde(flatten)]
    reply: JobReply,
    reason: Option<String>,
}

impl JobDetail {
    /// `waiting` is why the next task waits, as the coordinator explains it.
    pub(crate) fn new(reply: JobReply, waiting: Option<String>) -> Self {
        let reason = reason(&reply.info).or(waiting);
        Self { reply, reason }
    }
}

impl Record for JobDetail {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("job", |job| Cell::Number(job.reply.info.job)),
        Column::new("state", |job| Cell::Text(word(job.reply.info.state))),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("job", |job| Cell::Number(job.reply.info.job)),
        Column::new("name", |job| job.reply.info.name.as_ref().map_or(Cell::Nothing, Cell::text)),
        Column::new("state", |job| Cell::Text(word(job.reply.info.state).replace(' ', "_"))),
        Column::new("reason", |job| job.reason.as_ref().map_or(Cell::Nothing, Cell::text)),
        Column::new("args", |job| Cell::Words(job.reply.task.task_spec.args.clone())),
        Column::new("parameters", |job| Cell::Words(job.reply.parameters.clone())),
    ];

    fn id(&self) -> String {
        self.reply.info.job.to_string()
    }

    fn facts(&self) -> Vec<Fact> {
        let mut facts = JobShown::from(self.reply.info.clone()).facts();
        facts.retain(|(name, _)| *name != "reason");
        if let Some(reason) = &self.reason {
            facts.insert(2, ("reason", Cell::text(reason)));
        }
        let task = &self.reply.task;
        facts.extend([
            ("tags", Cell::Words(task.tags.clone())),
            ("timeout", Cell::Text(duration::short(task.timeout))),
        ]);
        facts.extend(task::spec(&task.task_spec));
        if !self.reply.parameters.is_empty() {
            facts.push(("parameters", Cell::Words(self.reply.parameters.clone())));
        }
        facts.extend(self.reply.notifications.iter().map(|one| ("notifies", Cell::Text(notification(one)))));
        facts
    }
}

/// A submitted job.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SubmittedShown {
    #[serde(flatten)]
    job: SubmittedJob,
    /// Whether an earlier command with the same name submitted it.
    submitted_before: bool,
}

impl SubmittedShown {
    pub(crate) fn new(job: SubmittedJob, submitted_before: bool) -> Self {
        Self { job, submitted_before }
    }

    fn sentence(&self) -> String {
        let title = title(self.job.job, self.job.name.as_deref());
        let before = if self.submitted_before { ", submitted before" } else { "" };
        format!("{title}: {}{before}", pluralized(self.job.tasks, "task"))
    }
}

impl Record for SubmittedShown {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("job", |job| Cell::Number(job.job.job)),
        Column::shrinkable(1, "name", |job| job.job.name.as_ref().map_or(Cell::Nothing, Cell::text)),
        Column::new("tasks", |job| Cell::text(job.job.tasks)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("job", |job| Cell::Number(job.job.job)),
        Column::new("name", |job| job.job.name.as_ref().map_or(Cell::Nothing, Cell::text)),
        Column::new("tasks", |job| Cell::text(job.job.tasks)),
        Column::new("group", |job| Cell::text(&job.job.group)),
        Column::new("submitted_before", |job| Cell::text(job.submitted_before)),
    ];

    fn id(&self) -> String {
        self.job.job.to_string()
    }

    fn line(&self, _: &TerminalStyle) -> String {
        escaped(&self.sentence())
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("job", Cell::Text(self.sentence()))]
    }
}

/// A job of one task that waits.
#[cfg(test)]
pub(crate) fn example_job(job: i64) -> JobInfo {
    JobInfo {
        job,
        name: None,
        group: "ann".to_owned(),
        creator: "ann".to_owned(),
        labels: Vec::new(),
        priority: 0,
        state: JobState::Waiting,
        tasks: 1,
        counts: mitosis_protocol::JobCounts::default(),
        stopped: None,
        stopped_by: None,
        needs: Vec::new(),
        options: mitosis_protocol::job::JobOptions::default(),
        retry: None,
        limits: Vec::new(),
        created_at: mitosis_protocol::Timestamp::UNIX_EPOCH,
        ended_at: None,
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::Timestamp;
    use mitosis_protocol::job::{JobCounts, JobOptions};

    use super::*;
    use crate::show::format::Format;
    use crate::show::output::Output;
    use crate::show::rows::written;

    fn job() -> JobInfo {
        let counts = JobCounts {
            waiting: 33,
            running: 4,
            succeeded: 60,
            failed: 2,
            timed_out: 1,
            ..JobCounts::default()
        };
        JobInfo {
            name: Some("train".to_owned()),
            group: "lab".to_owned(),
            labels: vec!["exp1".to_owned()],
            state: JobState::Running,
            tasks: 100,
            counts,
            created_at: Timestamp::parse("2031-02-09T17:00:05Z").unwrap(),
            ..example_job(12)
        }
    }

    #[test]
    fn table_of_jobs_fits_eighty_columns() {
        let long = JobInfo {
            job: 123_456,
            name: Some("a".repeat(100)),
            tasks: 1_000_000,
            counts: JobCounts { succeeded: 999_999, failed: 1, ..JobCounts::default() },
            state: JobState::Succeeded,
            ..job()
        };
        let jobs = [JobShown::from(job()), JobShown::from(long)];
        let table = Output::at_a_terminal(80).lines(&jobs).unwrap();
        assert!(table.iter().all(|line| line.chars().count() <= 80), "{table:#?}");
        assert_eq!(
            table[0].split_whitespace().collect::<Vec<_>>(),
            ["JOB", "NAME", "STATE", "PROGRESS", "FAILED", "AGE"]
        );
        assert_eq!(
            table[1].split_whitespace().collect::<Vec<_>>(),
            ["12", "train", "running", "63/100", "3", "4m"]
        );
    }

    #[test]
    fn pipe_gets_a_sentence_and_csv_every_count() {
        let jobs = [JobShown::from(job())];
        assert_eq!(
            written(&Output::fixed(None, false), &jobs),
            "job 12 (train): running, 63/100 tasks ended, 3 failed\n"
        );
        let csv = written(&Output::fixed(Some(Format::Csv), false), &jobs);
        assert!(
            csv.ends_with(
                "12,train,lab,ann,running,100,33,0,4,60,2,1,0,0,exp1,2031-02-09 17:00:05.0 +00:00:00,\n"
            ),
            "{csv}"
        );
        assert_eq!(written(&Output::fixed(Some(Format::Id), false), &jobs), "12\n");
        let ended = JobInfo {
            tasks: 1,
            counts: JobCounts { succeeded: 1, ..JobCounts::default() },
            name: None,
            state: JobState::Succeeded,
            ..job()
        };
        assert_eq!(JobShown::from(ended).sentence(), "job 12: succeeded, 1 task");
    }

    #[test]
    fn reason_names_what_keeps_a_job_from_running() {
        let need = |job, kind, met| JobNeed { job, kind, met };
        let waiting = || JobInfo { state: JobState::Blocked, ..job() };
        let limited = |max_running| JobOptions { max_running: Some(max_running), ..JobOptions::default() };
        for (info, expected) in [
            (job(), None),
            (JobInfo { options: limited(5), ..job() }, None),
            (JobInfo { options: limited(4), ..job() }, Some("at its limit of 4 running tasks")),
            (
                JobInfo { options: JobOptions { paused: true, ..job().options }, ..job() },
                Some("paused (4 running tasks continue); `mito resume 12` resumes it"),
            ),
            (
                JobInfo {
                    needs: vec![
                        need(11, NeedKind::Succeeded, false),
                        need(9, NeedKind::Ended, false),
                        need(8, NeedKind::Ended, true),
                    ],
                    ..waiting()
                },
                Some("waits for job 11 to succeed and job 9 to end"),
            ),
            (
                JobInfo {
                    needs: vec![need(11, NeedKind::Each, false)],
                    counts: JobCounts { blocked: 100, ..JobCounts::default() },
                    ..waiting()
                },
                Some("waits for the tasks of job 11"),
            ),
            (JobInfo { needs: vec![need(11, NeedKind::Each, false)], ..job() }, None),
            (
                JobInfo {
                    options: JobOptions { start_after: Some(job().created_at), ..JobOptions::default() },
                    ..waiting()
                },
                Some("waits for its start time"),
            ),
            (
                JobInfo { stopped: Some(StopCause::DependencyFailed), stopped_by: Some(11), ..waiting() },
                Some("stopped because job 11 did not succeed"),
            ),
            (
                JobInfo {
                    stopped: Some(StopCause::MaxFailures),
                    options: JobOptions { max_failures: Some(1), ..JobOptions::default() },
                    ..job()
                },
                Some("stopped because more than 1 task failed"),
            ),
            (JobInfo { options: limited(1), state: JobState::Failed, ..job() }, None),
        ] {
            assert_eq!(reason(&info).as_deref(), expected);
        }
    }

    #[test]
    fn submission_is_one_line() {
        let submitted = |name: Option<&str>, tasks, before| {
            let name = name.map(str::to_owned);
            SubmittedShown::new(SubmittedJob { job: 12, name, tasks, group: "ann".to_owned() }, before)
                .sentence()
        };
        assert_eq!(submitted(None, 1, false), "job 12: 1 task");
        assert_eq!(submitted(Some("train"), 100, false), "job 12 (train): 100 tasks");
        assert_eq!(submitted(Some("train"), 100, true), "job 12 (train): 100 tasks, submitted before");
    }
}
