//! Shows the sums of `mito top`, and its state for programs.

use serde::Serialize;

use super::job::JobShown;
use super::record::{Cell, Column, Fact, Record};
use super::text::pluralized;

/// Sums over active jobs and over workers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TopTotals {
    /// Jobs that have not ended.
    pub(crate) jobs: u64,
    /// The tasks of these jobs.
    pub(crate) tasks: u64,
    pub(crate) waiting: u64,
    pub(crate) running: u64,
    pub(crate) ended: u64,
    pub(crate) failed: u64,
    /// Not known when the state is printed once.
    #[serde(skip)]
    pub(crate) ended_per_second: Option<f64>,
    pub(crate) workers: u64,
    /// The slots of all workers; null for users who may not see them.
    pub(crate) slots: Option<u64>,
    /// The slots that have a task.
    pub(crate) busy_slots: Option<u64>,
}

impl TopTotals {
    /// `2 active jobs: 4 running, 20 waiting, 76/100 tasks ended (12.5 per second), 3 failed`, and the workers.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let rate = self.ended_per_second.map(|rate| format!(" ({rate:.1} per second)")).unwrap_or_default();
        let failed = if self.failed == 0 { String::new() } else { format!(", {} failed", self.failed) };
        let jobs = pluralized(self.jobs, "active job");
        let workers = pluralized(self.workers, "worker");
        vec![
            format!(
                "{jobs}: {} running, {} waiting, {}/{} ended{rate}{failed}",
                self.running,
                self.waiting,
                self.ended,
                pluralized(self.tasks, "task")
            ),
            match (self.busy_slots, self.slots) {
                (Some(busy), Some(slots)) => format!("{workers}: {busy}/{} busy", pluralized(slots, "slot")),
                _ => workers.to_string(),
            },
        ]
    }
}

/// The state for programs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TopShown {
    totals: TopTotals,
    jobs: Vec<JobShown>,
    /// As `mito workers`, or `mito admin workers` for an administrator.
    workers: serde_json::Value,
}

impl TopShown {
    pub(crate) fn new(totals: TopTotals, jobs: Vec<JobShown>, workers: serde_json::Value) -> Self {
        Self { totals, jobs, workers }
    }

    fn optional(count: Option<u64>) -> Cell {
        count.map_or(Cell::Nothing, Cell::text)
    }
}

impl Record for TopShown {
    const TABLE: &'static [Column<Self>] = Self::FIELDS;
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("jobs", |top| Cell::text(top.totals.jobs)),
        Column::new("tasks", |top| Cell::text(top.totals.tasks)),
        Column::new("waiting", |top| Cell::text(top.totals.waiting)),
        Column::new("running", |top| Cell::text(top.totals.running)),
        Column::new("ended", |top| Cell::text(top.totals.ended)),
        Column::new("failed", |top| Cell::text(top.totals.failed)),
        Column::new("workers", |top| Cell::text(top.totals.workers)),
        Column::new("slots", |top| Self::optional(top.totals.slots)),
        Column::new("busy_slots", |top| Self::optional(top.totals.busy_slots)),
    ];

    fn id(&self) -> String {
        self.totals.jobs.to_string()
    }

    fn facts(&self) -> Vec<Fact> {
        Self::FIELDS.iter().map(|column| (column.title(), column.of(self))).collect()
    }
}
