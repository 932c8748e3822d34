//! Shows counts.

use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};

/// The number of matching objects.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Count {
    pub(crate) count: u64,
}

impl Count {
    fn cell(&self) -> Cell {
        Cell::text(self.count)
    }
}

impl Record for Count {
    const TABLE: &'static [Column<Self>] = &[Column::new("count", Self::cell)];
    const FIELDS: &'static [Column<Self>] = &[Column::new("count", Self::cell)];

    fn id(&self) -> String {
        self.count.to_string()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("count", self.cell())]
    }
}
