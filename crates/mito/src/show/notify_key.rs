//! Shows the key that signs the notifications of a group.

use mitosis_protocol::notify::NotifyKeyReply;

use super::record::{Cell, Column, Fact, Record};
use super::style::TerminalStyle;
use super::text::escaped;

impl Record for NotifyKeyReply {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("key", |reply| Cell::text(&reply.key)),
        Column::new("created_at", |reply| Cell::Time(reply.created_at)),
    ];
    const FIELDS: &'static [Column<Self>] = Self::TABLE;

    fn id(&self) -> String {
        self.key.clone()
    }

    fn line(&self, _: &TerminalStyle) -> String {
        escaped(&self.key)
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("key", Cell::text(&self.key)), ("created", Cell::Time(self.created_at))]
    }
}
