//! Shows personal tokens.

use mitosis_protocol::tokens::TokenInfo;
use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};
use super::style::TerminalStyle;
use super::text::escaped;

/// A new token. It has no `Debug`, as it is a secret.
#[derive(Clone, Serialize)]
pub(crate) struct TokenMade {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) token: String,
}

impl Record for TokenMade {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("id", |made| Cell::Number(made.id)),
        Column::new("name", |made| Cell::text(&made.name)),
        Column::new("token", |made| Cell::text(&made.token)),
    ];
    const FIELDS: &'static [Column<Self>] = Self::TABLE;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn line(&self, _: &TerminalStyle) -> String {
        escaped(&self.token)
    }

    fn facts(&self) -> Vec<Fact> {
        vec![
            ("id", Cell::Number(self.id)),
            ("name", Cell::text(&self.name)),
            ("token", Cell::text(&self.token)),
        ]
    }
}

fn scope(token: &TokenInfo) -> Cell {
    Cell::Text(format!("{:?}", token.scope).to_lowercase())
}

fn end(token: &TokenInfo) -> Cell {
    token.expires_at.map_or(Cell::Nothing, Cell::Time)
}

impl Record for TokenInfo {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("id", |token| Cell::Number(token.id)),
        Column::new("scope", scope),
        Column::new("created", |token| Cell::Time(token.created_at)),
        Column::new("ends", end),
        Column::new("name", |token| Cell::text(&token.name)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("id", |token| Cell::Number(token.id)),
        Column::new("name", |token| Cell::text(&token.name)),
        Column::new("scope", scope),
        Column::new("created_at", |token| Cell::Time(token.created_at)),
        Column::new("expires_at", end),
    ];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn line(&self, style: &TerminalStyle) -> String {
        let end =
            self.expires_at.map_or_else(|| "never ends".to_owned(), |at| format!("ends {}", style.time(at)));
        format!("{}\t{}\t{}\t{end}", self.id, escaped(&self.name), scope(self).shown(style).0)
    }

    fn facts(&self) -> Vec<Fact> {
        vec![
            ("id", Cell::Number(self.id)),
            ("name", Cell::text(&self.name)),
            ("scope", scope(self)),
            ("created", Cell::Time(self.created_at)),
            ("ends", end(self)),
        ]
    }
}
