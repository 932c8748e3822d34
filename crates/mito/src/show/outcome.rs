//! What a command has done, in one sentence.

use super::record::{Cell, Column, Fact, Record};
use super::style::TerminalStyle;
use serde::Serialize;

/// The outcome of a command for one object. Each is a [`Record`] that is shown as a sentence.
pub(crate) trait Outcome: Serialize + 'static {
    /// The columns, with the names of the document.
    const COLUMNS: &'static [Column<Self>];

    /// The id of the object, as other commands accept it.
    fn subject_id(&self) -> String;

    /// What was done: `job 12: cancelled 980 tasks`.
    fn sentence(&self) -> String;
}

impl<T: Outcome> Record for T {
    const TABLE: &'static [Column<Self>] = T::COLUMNS;
    const FIELDS: &'static [Column<Self>] = T::COLUMNS;

    fn id(&self) -> String {
        self.subject_id()
    }

    fn line(&self, _: &TerminalStyle) -> String {
        self.sentence()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("outcome", Cell::Text(self.sentence()))]
    }
}
