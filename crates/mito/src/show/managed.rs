//! Workers of a manager.

use super::line;
use super::look::Tone;
use super::record::{Cell, Column, Fact, Record};
use crate::failure::Failure;
use crate::manager::wire::{State, WorkerStatus};

/// A line for each worker, then how many have a process.
pub(crate) fn managed(workers: &[WorkerStatus]) -> Result<(), Failure> {
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
            worker.state.word(),
            span(worker.since),
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
    Cell::Toned(worker.state.word().to_owned(), tone)
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

/// The two largest units of a time.
fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let first = units.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(units.len() - 1);
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, name) in units.iter().skip(first).take(2) {
        parts.push(format!("{}{name}", left / unit));
        left %= unit;
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_its_two_largest_units() {
        assert_eq!([0, 59, 60, 3_725, 200_000].map(span), ["0s", "59s", "1m 0s", "1h 2m", "2d 7h"]);
    }
}
