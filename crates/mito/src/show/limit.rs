//! Shows named limits.

use mitosis_protocol::limit::LimitInfo;

use super::record::{Cell, Column, Fact, Record};
use super::style::Tone;

fn in_use(limit: &LimitInfo) -> Cell {
    let text = format!("{} of {}", limit.in_use, limit.value);
    match limit.in_use < limit.value {
        true => Cell::Text(text),
        false => Cell::Toned(text, Tone::Busy),
    }
}

fn jobs(limit: &LimitInfo) -> Cell {
    Cell::Words(limit.jobs.iter().map(ToString::to_string).collect())
}

impl Record for LimitInfo {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("in use", in_use),
        Column::new("jobs", jobs),
        Column::new("limit", |limit| Cell::text(&limit.name)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("name", |limit| Cell::text(&limit.name)),
        Column::new("value", |limit| Cell::text(limit.value)),
        Column::new("in_use", |limit| Cell::text(limit.in_use)),
        Column::new("jobs", jobs),
    ];

    fn id(&self) -> String {
        self.name.clone()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("limit", Cell::text(&self.name)), ("in use", in_use(self)), ("jobs", jobs(self))]
    }
}
