//! Shows the audit log.

use mitosis_protocol::audit::AuditEntry;

use super::record::{Cell, Column, Fact, Record};
use super::style::TerminalStyle;
use super::text::escaped;

fn address(entry: &AuditEntry) -> Cell {
    entry.address.map_or(Cell::Nothing, Cell::text)
}

impl Record for AuditEntry {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("at", |entry| Cell::Time(entry.at)),
        Column::new("actor", |entry| Cell::text(&entry.actor)),
        Column::new("action", |entry| Cell::text(&entry.action)),
        Column::new("address", address),
        Column::new("target", |entry| Cell::text(&entry.target)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("id", |entry| Cell::Number(entry.id)),
        Column::new("at", |entry| Cell::Time(entry.at)),
        Column::new("actor", |entry| Cell::text(&entry.actor)),
        Column::new("action", |entry| Cell::text(&entry.action)),
        Column::new("target", |entry| Cell::text(&entry.target)),
        Column::new("address", address),
    ];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn line(&self, style: &TerminalStyle) -> String {
        let target = escaped(&self.target);
        format!("{}\t{}\t{}\t{target}", style.time(self.at), escaped(&self.actor), escaped(&self.action))
    }

    fn facts(&self) -> Vec<Fact> {
        vec![
            ("id", Cell::Number(self.id)),
            ("at", Cell::Time(self.at)),
            ("actor", Cell::text(&self.actor)),
            ("action", Cell::text(&self.action)),
            ("target", Cell::text(&self.target)),
            ("address", address(self)),
        ]
    }
}
