//! Shows schedules and their runs.

use mitosis_protocol::duration;
use mitosis_protocol::schedule::{RunOutcome, ScheduleInfo, ScheduleReply, ScheduleRun};
use serde::Serialize;

use super::job::word;
use super::outcome::Outcome;
use super::record::{Cell, Column, Fact, Record};
use super::style::{TerminalStyle, Tone};
use super::task;
use super::text::{escaped, pluralized};

/// A schedule.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ScheduleShown {
    #[serde(flatten)]
    info: ScheduleInfo,
}

impl From<ScheduleInfo> for ScheduleShown {
    fn from(info: ScheduleInfo) -> Self {
        Self { info }
    }
}

fn title(schedule: i64, name: &str) -> String {
    format!("schedule {schedule} ({name})")
}

impl ScheduleShown {
    fn next(&self) -> Cell {
        match self.info.next_due {
            _ if self.info.paused => Cell::text("paused"),
            Some(due) => Cell::Time(due),
            None => Cell::Nothing,
        }
    }

    fn last(&self) -> Cell {
        self.info.last_run.as_ref().map_or(Cell::Nothing, outcome)
    }

    fn times(&self) -> String {
        format!("{} ({})", self.info.cron, self.info.timezone)
    }
}

/// What came of a run: `job 12`, or why there is none.
fn outcome(run: &ScheduleRun) -> Cell {
    let tone = match run.outcome {
        RunOutcome::Submitted | RunOutcome::Skipped => Tone::Plain,
        RunOutcome::Missed | RunOutcome::Refused | RunOutcome::Failed => Tone::Bad,
    };
    let text = run.job.map_or_else(|| word(run.outcome), |job| format!("job {job}"));
    Cell::Toned(text, tone)
}

impl Record for ScheduleShown {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("schedule", |shown| Cell::Number(shown.info.schedule)),
        Column::shrinkable(1, "name", |shown| Cell::text(&shown.info.name)),
        Column::new("times", |shown| Cell::Text(shown.times())),
        Column::new("next", Self::next),
        Column::new("last", Self::last),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("schedule", |shown| Cell::Number(shown.info.schedule)),
        Column::new("name", |shown| Cell::text(&shown.info.name)),
        Column::new("group", |shown| Cell::text(&shown.info.group)),
        Column::new("creator", |shown| Cell::text(&shown.info.creator)),
        Column::new("cron", |shown| Cell::text(&shown.info.cron)),
        Column::new("timezone", |shown| Cell::text(&shown.info.timezone)),
        Column::new("overlap", |shown| Cell::Text(word(shown.info.overlap))),
        Column::new("catch_up", |shown| Cell::Text(word(shown.info.catch_up))),
        Column::new("paused", |shown| Cell::text(shown.info.paused)),
        Column::new("next_due", |shown| shown.info.next_due.map_or(Cell::Nothing, Cell::Time)),
        Column::new("created_at", |shown| Cell::Time(shown.info.created_at)),
    ];

    fn id(&self) -> String {
        self.info.schedule.to_string()
    }

    /// `schedule 3 (nightly): next run 2031-02-09 03:00:00, in 9h`.
    fn line(&self, style: &TerminalStyle) -> String {
        let title = escaped(&title(self.info.schedule, &self.info.name));
        match self.info.next_due {
            Some(_) if !self.info.paused => format!("{title}: next run {}", self.next().shown(style).0),
            _ => format!("{title}: paused"),
        }
    }

    fn facts(&self) -> Vec<Fact> {
        let info = &self.info;
        let mut facts = vec![
            ("schedule", Cell::Text(format!("{} ({})", info.schedule, info.name))),
            ("times", Cell::Text(self.times())),
        ];
        if info.paused {
            facts.push((
                "state",
                Cell::Text(format!("paused; `mito schedule resume {}` resumes it", info.schedule)),
            ));
        }
        facts.extend([
            ("overlap", Cell::Text(word(info.overlap))),
            ("catch up", Cell::Text(word(info.catch_up))),
            ("group", Cell::Text(format!("{}, by {}", info.group, info.creator))),
            ("created", Cell::Time(info.created_at)),
        ]);
        if let Some(run) = &info.last_run {
            facts.push(("last run", Cell::Time(run.due)));
            facts.push(("outcome", outcome(run)));
            facts.extend(run.reason.as_ref().map(|reason| ("reason", Cell::text(reason))));
        }
        facts
    }
}

/// A schedule with its next times and its job.
#[derive(Debug, Serialize)]
pub(crate) struct ScheduleDetail {
    #[serde(flatten)]
    reply: ScheduleReply,
}

impl From<ScheduleReply> for ScheduleDetail {
    fn from(reply: ScheduleReply) -> Self {
        Self { reply }
    }
}

impl Record for ScheduleDetail {
    const TABLE: &'static [Column<Self>] =
        &[Column::new("schedule", |detail| Cell::Number(detail.reply.info.schedule))];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("schedule", |detail| Cell::Number(detail.reply.info.schedule)),
        Column::new("name", |detail| Cell::text(&detail.reply.info.name)),
        Column::new("cron", |detail| Cell::text(&detail.reply.info.cron)),
        Column::new("timezone", |detail| Cell::text(&detail.reply.info.timezone)),
        Column::new("next_due", |detail| detail.reply.info.next_due.map_or(Cell::Nothing, Cell::Time)),
        Column::new("args", |detail| Cell::Words(detail.reply.task.task_spec.args.clone())),
        Column::new("parameters", |detail| Cell::Words(detail.reply.parameters.clone())),
    ];

    fn id(&self) -> String {
        self.reply.info.schedule.to_string()
    }

    fn facts(&self) -> Vec<Fact> {
        let ScheduleReply { info, next, task, parameters, tasks } = &self.reply;
        let mut facts = ScheduleShown::from(info.clone()).facts();
        facts.extend(next.iter().map(|due| ("next", Cell::Time(*due))));
        facts.extend([
            ("tasks", Cell::Text(pluralized(*tasks, "task").to_string())),
            ("tags", Cell::Words(task.tags.clone())),
            ("labels", Cell::Words(task.labels.clone())),
            ("priority", Cell::number(task.priority)),
            ("timeout", Cell::Text(duration::short(task.timeout))),
        ]);
        facts.extend(task::spec(&task.task_spec));
        if !parameters.is_empty() {
            facts.push(("parameters", Cell::Words(parameters.clone())));
        }
        facts
    }
}

/// A run of a schedule.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ScheduleRunShown {
    #[serde(flatten)]
    run: ScheduleRun,
}

impl From<ScheduleRun> for ScheduleRunShown {
    fn from(run: ScheduleRun) -> Self {
        Self { run }
    }
}

impl ScheduleRunShown {
    fn job(&self) -> Cell {
        self.run.job.map_or(Cell::Nothing, Cell::Number)
    }

    /// `submitted job 12`, or `skipped, job 11 has not ended`.
    fn sentence(&self) -> String {
        let outcome = word(self.run.outcome);
        let outcome = self.run.job.map_or_else(|| outcome.clone(), |job| format!("{outcome} job {job}"));
        match self.reason() {
            Cell::Text(reason) => escaped(&format!("{outcome}, {reason}")),
            _ => outcome,
        }
    }

    fn reason(&self) -> Cell {
        match (&self.run.reason, self.run.requested) {
            (Some(reason), _) => Cell::text(reason),
            (None, true) => Cell::text("requested by a user"),
            (None, false) => Cell::Nothing,
        }
    }
}

impl Record for ScheduleRunShown {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("due", |shown| Cell::Time(shown.run.due)),
        Column::new("outcome", |shown| match outcome(&shown.run) {
            Cell::Toned(_, tone) => Cell::Toned(word(shown.run.outcome), tone),
            other => other,
        }),
        Column::new("job", Self::job),
        Column::shrinkable(1, "reason", Self::reason),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("due", |shown| Cell::Time(shown.run.due)),
        Column::new("until", |shown| shown.run.until.map_or(Cell::Nothing, Cell::Time)),
        Column::new("handled_at", |shown| Cell::Time(shown.run.handled_at)),
        Column::new("requested", |shown| Cell::text(shown.run.requested)),
        Column::new("outcome", |shown| Cell::Text(word(shown.run.outcome))),
        Column::new("job", Self::job),
        Column::new("reason", |shown| shown.run.reason.as_ref().map_or(Cell::Nothing, Cell::text)),
    ];

    fn id(&self) -> String {
        self.run.job.map_or_else(String::new, |job| job.to_string())
    }

    fn line(&self, style: &TerminalStyle) -> String {
        format!("{}: {}", Cell::Time(self.run.due).shown(style).0, self.sentence())
    }

    fn facts(&self) -> Vec<Fact> {
        vec![
            ("due", Cell::Time(self.run.due)),
            ("outcome", Cell::Text(word(self.run.outcome))),
            ("job", self.job()),
            ("reason", self.reason()),
        ]
    }
}

/// A deleted schedule.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ScheduleRemoved {
    pub(crate) schedule: i64,
    pub(crate) name: String,
}

impl Outcome for ScheduleRemoved {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("schedule", |removed| Cell::Number(removed.schedule)),
        Column::new("name", |removed| Cell::text(&removed.name)),
    ];

    fn subject_id(&self) -> String {
        self.schedule.to_string()
    }

    fn sentence(&self) -> String {
        escaped(&format!("{}: deleted", title(self.schedule, &self.name)))
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::Timestamp;

    use super::*;

    fn run(outcome: RunOutcome, job: Option<i64>, reason: Option<&str>) -> ScheduleRunShown {
        let at = Timestamp::from_unix_micros(1_928_423_045_000_000);
        let reason = reason.map(str::to_owned);
        let run = ScheduleRun {
            due: at,
            until: None,
            handled_at: at,
            requested: reason.is_none(),
            outcome,
            job,
            reason,
        };
        ScheduleRunShown::from(run)
    }

    #[test]
    fn line_of_a_run_names_its_outcome_and_the_reason() {
        let line = |run: ScheduleRunShown| run.line(&TerminalStyle::fixed(false));
        assert_eq!(
            line(run(RunOutcome::Submitted, Some(12), None)),
            "2031-02-09 17:04:05.0 +00:00:00: submitted job 12, requested by a user"
        );
        assert_eq!(
            line(run(RunOutcome::Skipped, None, Some("job 11 has not\u{1b} ended"))),
            "2031-02-09 17:04:05.0 +00:00:00: skipped, job 11 has not\\u{1b} ended"
        );
    }
}
