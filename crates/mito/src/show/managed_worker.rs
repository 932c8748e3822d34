//! Shows the workers of a supervisor.

use std::time::Duration;

use mitosis_protocol::duration;
use mitosis_supervisor::{State, WorkerStatus};

use super::line;
use super::record::{Cell, Column, Fact, Record};
use super::style::Tone;
use crate::process::failure::Failure;

/// Prints a line for each worker, then the number of running ones.
pub(crate) fn managed_workers(workers: &[WorkerStatus]) -> Result<(), Failure> {
    if !workers.is_empty() {
        line(format_args!(
            "{:>6} {:>8} {:<9} {:>12} {:>8}  LAST END",
            "NUMBER", "PID", "STATE", "FOR", "RESTARTS"
        ))?;
    }
    for worker in workers {
        let pid = worker.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        line(format_args!(
            "{:>6} {pid:>8} {:<9} {:>12} {:>8}  {}",
            worker.number,
            worker.state,
            duration::span(Duration::from_secs(worker.since)),
            worker.restarts,
            worker.last_end.as_deref().unwrap_or("-"),
        ))?;
    }
    let running = workers.iter().filter(|worker| worker.pid.is_some());
    line(format_args!("Total: {}", running.count()))
}

fn state(worker: &WorkerStatus) -> Cell {
    let tone = match worker.state {
        State::Running => Tone::Good,
        State::Waiting | State::Draining | State::Stopping => Tone::Busy,
        State::Ended => Tone::Plain,
        State::Failed => Tone::Bad,
    };
    Cell::Toned(worker.state.to_string(), tone)
}

fn last_end(worker: &WorkerStatus) -> Cell {
    worker.last_end.clone().map_or(Cell::Nothing, Cell::Text)
}

impl Record for WorkerStatus {
    const TABLE: &'static [Column<Self>] = Self::FIELDS;
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("number", |worker| Cell::number(worker.number)),
        Column::new("pid", |worker| worker.pid.map_or(Cell::Nothing, Cell::number)),
        Column::new("state", state),
        Column::new("since", |worker| Cell::text(worker.since)),
        Column::new("restarts", |worker| Cell::number(worker.restarts)),
        Column::new("last_end", last_end),
    ];

    fn id(&self) -> String {
        self.number.to_string()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("number", Cell::number(self.number)), ("state", state(self)), ("last end", last_end(self))]
    }
}
