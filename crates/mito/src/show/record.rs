//! Records: objects with declared fields.

use std::fmt::Display;

use mitosis_protocol::Timestamp;
use serde::Serialize;

use super::style::{TerminalStyle, Tone};
use super::text::{bytes, escaped, shell_words};

/// An object that commands show. The `serde` form is the document for programs; its fields are part of the interface
/// and listed in `docs/guide/output.md`.
pub(crate) trait Record: Serialize + 'static {
    /// The columns of a table, the most important first.
    const TABLE: &'static [Column<Self>];
    /// The columns of CSV, with the names of the document.
    const FIELDS: &'static [Column<Self>];

    /// The id of the object, as other commands accept it.
    fn id(&self) -> String;

    /// The line in a list that is not a table.
    fn line(&self, _style: &TerminalStyle) -> String {
        escaped(&self.id())
    }

    /// All fields, one line each.
    fn facts(&self) -> Vec<Fact>;
}

/// A named field.
pub(crate) type Fact = (&'static str, Cell);

/// A column of a table.
pub(crate) struct Column<T: ?Sized> {
    pub(super) name: &'static str,
    pub(super) cell: fn(&T) -> Cell,
    /// The order of truncation on a narrow terminal: the largest first. 0 is truncated last.
    pub(super) shrink_priority: u8,
}

impl<T: ?Sized> Column<T> {
    pub(crate) const fn new(name: &'static str, cell: fn(&T) -> Cell) -> Self {
        Self { name, cell, shrink_priority: 0 }
    }

    /// The title.
    pub(super) const fn title(&self) -> &'static str {
        self.name
    }

    /// The value for an object.
    pub(super) fn of(&self, object: &T) -> Cell {
        (self.cell)(object)
    }

    /// A column that is truncated before others.
    pub(crate) const fn shrinkable(shrink_priority: u8, name: &'static str, cell: fn(&T) -> Cell) -> Self {
        Self { name, cell, shrink_priority }
    }
}

/// A typed value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Nothing,
    Text(String),
    /// Text with a tone, which is shown as a colour.
    Toned(String, Tone),
    Number(i64),
    Time(Timestamp),
    /// A time whose age matters.
    Age(Timestamp),
    /// A size in bytes.
    Size(i64),
    Words(Vec<String>),
    /// A command and its arguments, quoted for a shell.
    Command(Vec<String>),
    /// Several values without a separator.
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

    /// A count, which is shown as nothing if it is zero.
    pub(crate) fn nonzero(count: u64, tone: Tone) -> Self {
        if count == 0 { Self::Nothing } else { Self::Toned(count.to_string(), tone) }
    }

    pub(crate) fn optional(value: Option<impl Display>) -> Self {
        value.map_or(Self::Nothing, Self::text)
    }

    /// The text for a table or a line, and its tone.
    pub(crate) fn shown(&self, style: &TerminalStyle) -> (String, Tone) {
        let text = match self {
            Self::Nothing => String::new(),
            Self::Text(text) | Self::Toned(text, _) => escaped(text),
            Self::Number(number) => number.to_string(),
            Self::Time(at) => style.time(*at),
            Self::Age(at) => style.age(*at),
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

    /// The text for CSV: unchanged, with times in the wire format.
    pub(super) fn raw(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) | Self::Toned(text, _) => text.clone(),
            Self::Number(number) | Self::Size(number) => number.to_string(),
            Self::Time(at) | Self::Age(at) => at.to_string(),
            Self::Words(words) | Self::Command(words) => words.join(" "),
            Self::Parts(parts) => parts.iter().map(Self::raw).collect(),
        }
    }
}
