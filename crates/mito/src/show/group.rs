//! Shows groups.

use mitosis_protocol::admin::AccountState;
use mitosis_protocol::group::GroupInfo;

use super::record::{Cell, Column, Fact, Record};
use super::style::Tone;
use super::text::bytes;

fn state(group: &GroupInfo) -> Cell {
    let tone = match group.state {
        AccountState::Active => Tone::Good,
        AccountState::Locked | AccountState::Deleted => Tone::Bad,
    };
    Cell::Toned(format!("{:?}", group.state), tone)
}

impl Record for GroupInfo {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("state", state),
        Column::new("tasks", |group| Cell::Number(group.task_count)),
        Column::new("workers", |group| Cell::Number(group.worker_count)),
        Column::new("stored", |group| Cell::Size(group.storage_used)),
        Column::new("quota", |group| Cell::Size(group.storage_quota)),
        Column::new("creator", |group| Cell::text(&group.creator_username)),
        Column::new("group", |group| Cell::text(&group.group_name)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("group_name", |group| Cell::text(&group.group_name)),
        Column::new("creator_username", |group| Cell::text(&group.creator_username)),
        Column::new("created_at", |group| Cell::Time(group.created_at)),
        Column::new("updated_at", |group| Cell::Time(group.updated_at)),
        Column::new("state", state),
        Column::new("task_count", |group| Cell::Number(group.task_count)),
        Column::new("storage_quota", |group| Cell::Size(group.storage_quota)),
        Column::new("storage_used", |group| Cell::Size(group.storage_used)),
        Column::new("worker_count", |group| Cell::Number(group.worker_count)),
    ];

    fn id(&self) -> String {
        self.group_name.clone()
    }

    fn facts(&self) -> Vec<Fact> {
        let mut facts = vec![
            ("group", Cell::text(&self.group_name)),
            ("creator", Cell::text(&self.creator_username)),
            ("created", Cell::Time(self.created_at)),
            ("updated", Cell::Time(self.updated_at)),
            ("state", state(self)),
            ("tasks", Cell::Number(self.task_count)),
            ("storage", Cell::Text(format!("{} of {}", bytes(self.storage_used), bytes(self.storage_quota)))),
            ("workers", Cell::Number(self.worker_count)),
        ];
        facts.extend(
            self.write_priority.map(|most| ("priorities", Cell::Text(format!("up to {most} for Write")))),
        );
        let members = self.users_in_group.iter().flatten();
        facts.extend(members.map(|(name, role)| ("member", Cell::Text(format!("{name} {role:?}")))));
        facts
    }
}
