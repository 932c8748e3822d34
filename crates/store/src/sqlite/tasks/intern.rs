//! Lanes and labels, which are inserted once and referred to by their ids.

use std::collections::HashMap;

use mitosis_domain::ids::{GroupId, LaneId, LimitSetId, UserId};
use rusqlite::params;

use crate::StoreError;
use crate::db::only;
use crate::shared::tasks::insert::LaneKey;
use crate::sqlite::connection::Connection;

/// Lanes by their tags and requests.
type LanesByText = HashMap<(String, String), LaneId>;

/// A cache of ids for one operation. It must not outlive the operation, since a rollback removes the inserted
/// rows.
#[derive(Debug, Default)]
pub(crate) struct Interned {
    lanes: HashMap<(GroupId, UserId, Option<LimitSetId>), LanesByText>,
    labels: HashMap<GroupId, HashMap<String, i64>>,
}

impl Interned {
    /// The lane for tasks.
    pub(crate) fn lane(&mut self, db: &Connection, key: LaneKey<'_>) -> Result<LaneId, StoreError> {
        let lanes = self.lanes.entry((key.group, key.creator, key.limits)).or_default();
        let text = (key.tags.to_owned(), key.request.to_owned());
        if let Some(known) = lanes.get(&text) {
            return Ok(*known);
        }
        let lane = LaneId(find_or_insert_lane(db, key)?);
        lanes.insert(text, lane);
        Ok(lane)
    }

    /// The id of a label within a group.
    pub(crate) fn label(&mut self, db: &Connection, group: GroupId, name: &str) -> Result<i64, StoreError> {
        let labels = self.labels.entry(group).or_default();
        if let Some(known) = labels.get(name) {
            return Ok(*known);
        }
        let label = find_or_insert(db, FIND_LABEL, INSERT_LABEL, params![group.0, name])?;
        labels.insert(name.to_owned(), label);
        Ok(label)
    }
}

const FIND_TAG_SET: &str = "SELECT id FROM tag_set WHERE tags = ?1";
const INSERT_TAG_SET: &str = "INSERT INTO tag_set (tags) VALUES (?1)";

const FIND_LANE: &str = "
    SELECT id FROM lane
    WHERE group_id = ?1 AND tag_set_id = ?2 AND creator_id = ?3 AND limit_set_id = ?4 AND request_id = ?5";
const INSERT_LANE: &str = "
    INSERT INTO lane (group_id, tag_set_id, creator_id, limit_set_id, request_id) VALUES (?1, ?2, ?3, ?4, ?5)";

const FIND_REQUEST: &str = "SELECT id FROM resource_request WHERE request = ?1";
const INSERT_REQUEST: &str = "INSERT INTO resource_request (request) VALUES (?1)";

const FIND_LABEL: &str = "SELECT id FROM label WHERE group_id = ?1 AND name = ?2";
const INSERT_LABEL: &str = "INSERT INTO label (group_id, name) VALUES (?1, ?2)";

fn find_or_insert_lane(db: &Connection, key: LaneKey<'_>) -> Result<i64, StoreError> {
    let tag_set = find_or_insert(db, FIND_TAG_SET, INSERT_TAG_SET, params![key.tags])?;
    let request = match key.request {
        "" => 0,
        request => find_or_insert(db, FIND_REQUEST, INSERT_REQUEST, params![request])?,
    };
    let lane = params![key.group.0, tag_set, key.creator.0, key.stored_limits(), request];
    find_or_insert(db, FIND_LANE, INSERT_LANE, lane)
}

fn find_or_insert(
    db: &Connection,
    find: &str,
    make: &str,
    key: impl rusqlite::Params + Copy,
) -> Result<i64, StoreError> {
    match db.optional(find, key, only)? {
        Some(id) => Ok(id),
        None => db.insert(make, key),
    }
}
