//! Shows accounts and memberships.

use mitosis_protocol::Role;
use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};
use super::style::TerminalStyle;
use super::text::escaped;

/// The logged-in user.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Whoami {
    pub(crate) username: String,
}

impl Record for Whoami {
    const TABLE: &'static [Column<Self>] = &[Column::new("user", |user| Cell::text(&user.username))];
    const FIELDS: &'static [Column<Self>] = &[Column::new("username", |user| Cell::text(&user.username))];

    fn id(&self) -> String {
        self.username.clone()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("user", Cell::text(&self.username))]
    }
}

/// A group of the user.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Membership {
    pub(crate) group_name: String,
    pub(crate) role: Role,
}

impl Membership {
    fn role(&self) -> Cell {
        Cell::Text(format!("{:?}", self.role))
    }
}

impl Record for Membership {
    const TABLE: &'static [Column<Self>] =
        &[Column::new("group", |member| Cell::text(&member.group_name)), Column::new("role", Self::role)];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("group_name", |member| Cell::text(&member.group_name)),
        Column::new("role", Self::role),
    ];

    fn id(&self) -> String {
        self.group_name.clone()
    }

    fn line(&self, _: &TerminalStyle) -> String {
        format!("{}\t{:?}", escaped(&self.group_name), self.role)
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("group", Cell::text(&self.group_name)), ("role", self.role())]
    }
}
