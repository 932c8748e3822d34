//! A noun, as far as output is concerned: which fields it has, and what names it.

use mitosis_protocol::{Timestamp, Uuid};
use serde::Serialize;

use super::style::{TerminalStyle, Tone};
use super::text::{bytes, escaped, shell_words};

/// Something that commands show. What `serde` writes is the document for programs; its fields are part of
/// the interface and listed in `docs/guide/output.md`.
pub(crate) trait Record: Serialize + 'static {
    /// Columns of a table, those that people look for first.
    const TABLE: &'static [Column<Self>];
    /// Columns of CSV, named as in the document.
    const FIELDS: &'static [Column<Self>];

    /// What names it in other commands.
    fn id(&self) -> String;

    /// Its line in a list that is not a table.
    fn line(&self, _style: &TerminalStyle) -> String {
        escaped(&self.id())
    }

    /// Everything about it, a line per fact.
    fn facts(&self) -> Vec<Fact>;
}

/// A fact and what it is called.
pub(crate) type Fact = (&'static str, Cell);

/// A named property.
pub(crate) struct Column<T: ?Sized> {
    pub(super) name: &'static str,
    pub(super) cell: fn(&T) -> Cell,
    /// How soon it is cut where a terminal is too narrow: the larger the sooner.
    pub(super) shrink_priority: u8,
}

impl<T: ?Sized> Column<T> {
    pub(crate) const fn new(name: &'static str, cell: fn(&T) -> Cell) -> Self {
        Self { name, cell, shrink_priority: 0 }
    }

    /// One that is cut before others that do not yield, or yield less.
    pub(crate) const fn shrinkable(shrink_priority: u8, name: &'static str, cell: fn(&T) -> Cell) -> Self {
        Self { name, cell, shrink_priority }
    }
}

/// A value that knows what it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Nothing,
    Text(String),
    /// Text with a meaning that a colour can carry.
    Toned(String, Tone),
    Number(i64),
    Time(Timestamp),
    /// A size in bytes.
    Size(i64),
    Words(Vec<String>),
    /// A command and its arguments, shown as a shell takes them.
    Command(Vec<String>),
    /// One after the other.
    Parts(Vec<Cell>),
}

impl Cell {
    #[expect(clippy::needless_pass_by_value, reason = "a field, or a number that was just made")]
    pub(crate) fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    pub(crate) fn number(number: impl Into<i64>) -> Self {
        Self::Number(number.into())
    }

    pub(crate) fn optional(uuid: Option<Uuid>) -> Self {
        uuid.map_or(Self::Nothing, Self::text)
    }

    /// For a table or a line. `tone` is what it wants to be painted with.
    pub(crate) fn shown(&self, style: &TerminalStyle) -> (String, Tone) {
        let text = match self {
            Self::Nothing => String::new(),
            Self::Text(text) | Self::Toned(text, _) => escaped(text),
            Self::Number(number) => number.to_string(),
            Self::Time(at) => style.time(*at),
            Self::Size(size) if style.terminal => bytes(*size).to_string(),
            Self::Size(size) => size.to_string(),
            Self::Words(words) => escaped(&words.join(" ")),
            Self::Command(words) => shell_words(words),
            Self::Parts(parts) => parts.iter().map(|part| part.shown(style).0).collect(),
        };
        match self {
            Self::Toned(_, tone) => (text, *tone),
            _ => (text, Tone::Plain),
        }
    }

    /// For CSV: as it is, times as the contract writes them.
    pub(super) fn raw(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) | Self::Toned(text, _) => text.clone(),
            Self::Number(number) | Self::Size(number) => number.to_string(),
            Self::Time(at) => at.to_string(),
            Self::Words(words) | Self::Command(words) => words.join(" "),
            Self::Parts(parts) => parts.iter().map(Self::raw).collect(),
        }
    }
}
