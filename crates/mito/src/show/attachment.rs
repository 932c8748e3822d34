//! Shows attachments.

use mitosis_protocol::attachment::{AttachmentInfo, AttachmentRow};
use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};
use super::style::TerminalStyle;
use super::text::escaped;

/// An attachment with its metadata.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AttachmentAt {
    pub(crate) key: String,
    pub(crate) group_name: String,
    #[serde(flatten)]
    pub(crate) info: AttachmentInfo,
}

impl AttachmentAt {
    pub(crate) fn found(row: AttachmentRow, group: &str) -> Self {
        Self { key: row.key, group_name: group.to_owned(), info: row.info }
    }
}

impl Record for AttachmentAt {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("updated", |file| Cell::Time(file.info.updated_at)),
        Column::new("size", |file| Cell::Size(file.info.size)),
        Column::new("key", |file| Cell::text(&file.key)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("key", |file| Cell::text(&file.key)),
        Column::new("group_name", |file| Cell::text(&file.group_name)),
        Column::new("size", |file| Cell::Size(file.info.size)),
        Column::new("created_at", |file| Cell::Time(file.info.created_at)),
        Column::new("updated_at", |file| Cell::Time(file.info.updated_at)),
    ];

    fn id(&self) -> String {
        self.key.clone()
    }

    fn line(&self, style: &TerminalStyle) -> String {
        format!("{}\t{} bytes\t{}", style.time(self.info.updated_at), self.info.size, escaped(&self.key))
    }

    fn facts(&self) -> Vec<Fact> {
        vec![
            ("key", Cell::text(&self.key)),
            ("group", Cell::text(&self.group_name)),
            ("size", Cell::Text(format!("{} bytes", self.info.size))),
            ("created", Cell::Time(self.info.created_at)),
            ("updated", Cell::Time(self.info.updated_at)),
        ]
    }
}
