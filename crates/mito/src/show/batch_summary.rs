//! Shows the outcome of a command on many objects.

use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};

/// The number of changed objects, and those that were not changed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BatchOutcome {
    /// The number of changed objects.
    pub(crate) count: u64,
    /// The group, if the command is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group_name: Option<String>,
    /// The objects that were not changed.
    pub(crate) failed: Vec<String>,
}

impl BatchOutcome {
    pub(crate) fn of_group(count: u64, group: &str) -> Self {
        Self { count, group_name: Some(group.to_owned()), failed: Vec::new() }
    }

    pub(crate) fn of_list<T: ToString>(count: u64, failed: &[T]) -> Self {
        Self { count, group_name: None, failed: failed.iter().map(ToString::to_string).collect() }
    }
}

impl Record for BatchOutcome {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("count", |outcome| Cell::text(outcome.count)),
        Column::new("failed", |outcome| Cell::Words(outcome.failed.clone())),
    ];
    const FIELDS: &'static [Column<Self>] = Self::TABLE;

    fn id(&self) -> String {
        self.count.to_string()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("count", Cell::text(self.count)), ("failed", Cell::Words(self.failed.clone()))]
    }
}
