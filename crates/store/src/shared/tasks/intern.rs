//! Lanes and labels, which are inserted once and referred to by their ids.

use std::collections::BTreeSet;

use mitosis_domain::ids::{GroupId, LaneId};
use mitosis_domain::tags::TagSet;

use crate::db::{Db, to_json};
use crate::sqlite::tasks::intern::Interned;
use crate::{StoreError, postgres};

/// The lane of a tag set within a group.
pub(super) async fn lane(db: Db<'_>, group: GroupId, tags: &TagSet) -> Result<LaneId, StoreError> {
    let tags = to_json(tags)?;
    match db {
        Db::Postgres(db) => {
            let wanted = BTreeSet::from([(group, tags.as_str())]);
            let lanes = postgres::tasks::intern::lanes(db, &wanted).await?;
            Ok(LaneId(lanes[&(group, tags.as_str())]))
        }
        Db::Sqlite(db) => Interned::default().lane(db, group, &tags),
    }
}

/// The ids of labels within a group.
pub(super) async fn labels(db: Db<'_>, group: GroupId, labels: &TagSet) -> Result<Vec<i64>, StoreError> {
    match db {
        Db::Postgres(db) => {
            let wanted = labels.iter().map(|label| (group, label)).collect();
            Ok(postgres::tasks::intern::labels(db, wanted).await?.into_values().collect())
        }
        Db::Sqlite(db) => {
            let mut interned = Interned::default();
            labels.iter().map(|label| interned.label(db, group, label)).collect()
        }
    }
}
