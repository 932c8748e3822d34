//! Shows downloaded files and links.

use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};
use super::style::TerminalStyle;
use super::text::escaped;

/// A file that was downloaded.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fetched {
    /// The key, or the UUID of the task.
    pub(crate) of: String,
    /// The local path.
    pub(crate) path: String,
    /// The size in bytes.
    pub(crate) size: u64,
}

impl Record for Fetched {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("size", |file| Cell::Size(i64::try_from(file.size).unwrap_or(i64::MAX))),
        Column::new("of", |file| Cell::text(&file.of)),
        Column::new("path", |file| Cell::text(&file.path)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("of", |file| Cell::text(&file.of)),
        Column::new("path", |file| Cell::text(&file.path)),
        Column::new("size", |file| Cell::text(file.size)),
    ];

    fn id(&self) -> String {
        self.path.clone()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("path", Cell::text(&self.path)), ("size", Cell::Text(format!("{} bytes", self.size)))]
    }
}

/// A temporary link to a file: a secret, and the result of the command.
#[derive(Clone, Serialize)]
pub(crate) struct Link {
    /// The key, or the UUID of the task.
    pub(crate) of: String,
    pub(crate) url: String,
    /// The recorded size in bytes, an upper bound.
    pub(crate) size: i64,
}

impl Record for Link {
    const TABLE: &'static [Column<Self>] =
        &[Column::new("of", |link| Cell::text(&link.of)), Column::new("url", |link| Cell::text(&link.url))];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("of", |link| Cell::text(&link.of)),
        Column::new("url", |link| Cell::text(&link.url)),
        Column::new("size", |link| Cell::Size(link.size)),
    ];

    fn id(&self) -> String {
        self.url.clone()
    }

    fn line(&self, _: &TerminalStyle) -> String {
        format!("{} {}", escaped(&self.of), self.url)
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("url", Cell::text(&self.url))]
    }
}
