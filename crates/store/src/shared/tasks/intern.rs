//! Lanes and labels, which are inserted once and referred to by their ids.

use std::collections::BTreeSet;

use mitosis_domain::ids::{GroupId, LaneId, LimitSetId, UserId};
use mitosis_domain::tags::TagSet;
use mitosis_protocol::ResourceRequest;

use super::insert::{LaneKey, request_text};
use crate::db::{Db, Sql, sql, to_json};
use crate::sqlite::tasks::intern::Interned;
use crate::{StoreError, postgres};

const LANE: Sql = sql!(
    "
    SELECT lane.group_id, lane.creator_id, lane.limit_set_id, tag_set.tags,
           coalesce((SELECT r.request FROM resource_request r WHERE r.id = lane.request_id), '') AS request
    FROM lane INNER JOIN tag_set ON tag_set.id = lane.tag_set_id WHERE lane.id = $1"
);

/// What the tasks of a lane have in common.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    group: GroupId,
    creator: UserId,
    limits: Option<LimitSetId>,
    tags: TagSet,
    request: String,
}

impl Lane {
    /// Reads an existing lane.
    pub(super) async fn read(db: Db<'_>, id: i64) -> Result<Self, StoreError> {
        db.one(LANE, &[&id], |row| {
            Ok(Self {
                group: GroupId(row.value("group_id")?),
                creator: UserId(row.value("creator_id")?),
                limits: Some(LimitSetId(row.value("limit_set_id")?)).filter(|set| set.0 != 0),
                tags: row.tag_set("tags")?,
                request: row.value("request")?,
            })
        })
        .await
    }

    /// The same for tasks of another creator.
    pub(super) fn of(self, creator: UserId) -> Self {
        Self { creator, ..self }
    }

    /// The same for tasks with other tags.
    pub(super) fn with_tags(self, tags: TagSet) -> Self {
        Self { tags, ..self }
    }

    /// The same for tasks with another request.
    pub(super) fn with_request(self, request: &ResourceRequest) -> Result<Self, StoreError> {
        Ok(Self { request: request_text(request)?, ..self })
    }

    /// The lane of such tasks.
    pub(super) async fn id(&self, db: Db<'_>) -> Result<LaneId, StoreError> {
        let tags = to_json(&self.tags)?;
        let Self { group, creator, limits, .. } = *self;
        let key = LaneKey { group, tags: &tags, creator, limits, request: &self.request };
        match db {
            Db::Postgres(db) => {
                let lanes = postgres::tasks::intern::lanes(db, &BTreeSet::from([key])).await?;
                Ok(LaneId(lanes[&key]))
            }
            Db::Sqlite(db) => Interned::default().lane(db, key),
        }
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
