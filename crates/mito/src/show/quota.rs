//! Shows quotas.

use serde::Serialize;

use super::record::{Cell, Column, Fact, Record};

/// The storage quota of a group.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StorageQuota {
    pub(crate) group_name: String,
    /// The quota in bytes.
    pub(crate) storage_quota: i64,
}

impl Record for StorageQuota {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("group_name", |quota| Cell::text(&quota.group_name)),
        Column::new("storage_quota", |quota| Cell::Size(quota.storage_quota)),
    ];
    const FIELDS: &'static [Column<Self>] = Self::TABLE;

    fn id(&self) -> String {
        self.group_name.clone()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("group", Cell::text(&self.group_name)), ("quota", Cell::Size(self.storage_quota))]
    }
}

/// The group quota of a user.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GroupQuota {
    pub(crate) username: String,
    pub(crate) group_quota: i32,
}

impl Record for GroupQuota {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("username", |quota| Cell::text(&quota.username)),
        Column::new("group_quota", |quota| Cell::number(quota.group_quota)),
    ];
    const FIELDS: &'static [Column<Self>] = Self::TABLE;

    fn id(&self) -> String {
        self.username.clone()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![("user", Cell::text(&self.username)), ("quota", Cell::number(self.group_quota))]
    }
}
