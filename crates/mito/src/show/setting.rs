//! Shows configuration keys.

use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};
use super::style::TerminalStyle;
use super::text::escaped;

/// A key and its effective value.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Setting {
    key: &'static str,
    /// The value; null if it is not set, and `***` for a secret.
    value: Option<String>,
    /// The origin of the value.
    origin: String,
    /// The origin is shown to people, too.
    #[serde(skip)]
    with_origin: bool,
}

impl Setting {
    pub(crate) fn new(key: &'static str, value: Option<String>, origin: String, with_origin: bool) -> Self {
        Self { key, value, origin, with_origin }
    }

    fn value(&self) -> Cell {
        self.value.clone().map_or(Cell::Nothing, Cell::Text)
    }
}

impl Record for Setting {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("key", |setting| Cell::text(setting.key)),
        Column::new("value", Self::value),
        Column::new("origin", |setting| Cell::text(&setting.origin)),
    ];
    const FIELDS: &'static [Column<Self>] = Self::TABLE;

    fn id(&self) -> String {
        self.key.to_owned()
    }

    fn line(&self, _: &TerminalStyle) -> String {
        let value = escaped(self.value.as_deref().unwrap_or_default());
        let line = match self.with_origin {
            true => format!("{:<26} {value:<40} {}", self.key, escaped(&self.origin)),
            false => format!("{:<26} {value}", self.key),
        };
        line.trim_end().to_owned()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("key", Cell::text(self.key)), ("value", self.value()), ("origin", Cell::text(&self.origin))]
    }
}
