//! Shows running instances of `mito dev`.

use mitosis_protocol::Timestamp;
use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};
use crate::config::Instance;

/// A running instance of `mito dev`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InstanceShown {
    address: String,
    data: String,
    credentials: String,
    process: i32,
    started_at: Timestamp,
    version: String,
    /// The log file; null unless it runs in the background.
    log: Option<String>,
    /// Running tasks; null if it does not answer.
    running_tasks: Option<u64>,
}

impl InstanceShown {
    pub(crate) fn new(instance: Instance, running_tasks: Option<u64>) -> Self {
        Self {
            data: instance.data.display().to_string(),
            credentials: instance.credentials.display().to_string(),
            log: instance.log.map(|log| log.display().to_string()),
            address: instance.address,
            process: instance.process,
            started_at: instance.started_at,
            version: instance.version,
            running_tasks,
        }
    }

    fn running(&self) -> Cell {
        self.running_tasks.map_or_else(|| Cell::text("no answer"), Cell::text)
    }

    fn log(&self) -> Cell {
        self.log.as_ref().map_or(Cell::Nothing, Cell::text)
    }
}

impl Record for InstanceShown {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("address", |one| Cell::text(&one.address)),
        Column::new("process", |one| Cell::number(one.process)),
        Column::new("running", Self::running),
        Column::new("started", |one| Cell::Time(one.started_at)),
        Column::shrinkable(1, "data", |one| Cell::text(&one.data)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("address", |one| Cell::text(&one.address)),
        Column::new("data", |one| Cell::text(&one.data)),
        Column::new("credentials", |one| Cell::text(&one.credentials)),
        Column::new("process", |one| Cell::number(one.process)),
        Column::new("started_at", |one| Cell::Time(one.started_at)),
        Column::new("version", |one| Cell::text(&one.version)),
        Column::new("log", Self::log),
        Column::new("running_tasks", |one| one.running_tasks.map_or(Cell::Nothing, Cell::text)),
    ];

    fn id(&self) -> String {
        self.address.clone()
    }

    fn facts(&self) -> Vec<Fact> {
        let mut facts = vec![
            ("address", Cell::text(&self.address)),
            ("data", Cell::text(&self.data)),
            ("process", Cell::number(self.process)),
            ("version", Cell::text(&self.version)),
            ("started", Cell::Time(self.started_at)),
            ("running", self.running()),
        ];
        facts.extend(self.log.iter().map(|log| ("log", Cell::text(log))));
        facts
    }
}
