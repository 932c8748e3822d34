//! Shows why a task waits, or how it ended.

use mitosis_protocol::explain::Explanation;

use super::record::{Cell, Column, Fact, Record};
use super::style::TerminalStyle;
use super::text::escaped;

fn code(explanation: &Explanation) -> Cell {
    match serde_json::to_value(explanation.code) {
        Ok(serde_json::Value::String(word)) => Cell::Text(word),
        _ => Cell::Nothing,
    }
}

fn hint(explanation: &Explanation) -> Cell {
    explanation.hint.clone().map_or(Cell::Nothing, Cell::Text)
}

impl Record for Explanation {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("state", |why| Cell::Text(format!("{:?}", why.state))),
        Column::new("text", |why| Cell::text(&why.text)),
        Column::new("hint", hint),
        Column::new("uuid", |why| Cell::text(why.uuid)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("uuid", |why| Cell::text(why.uuid)),
        Column::new("state", |why| Cell::Text(format!("{:?}", why.state))),
        Column::new("code", code),
        Column::new("text", |why| Cell::text(&why.text)),
        Column::new("hint", hint),
    ];

    fn id(&self) -> String {
        self.uuid.to_string()
    }

    fn line(&self, _: &TerminalStyle) -> String {
        let sentence = format!("{:?}: {}", self.state, escaped(&self.text));
        match &self.hint {
            Some(hint) => format!("{sentence}\nhint: {}", escaped(hint)),
            None => sentence,
        }
    }

    fn facts(&self) -> Vec<Fact> {
        vec![
            ("state", Cell::Text(format!("{:?}", self.state))),
            ("why", Cell::text(&self.text)),
            ("hint", hint(self)),
        ]
    }
}
