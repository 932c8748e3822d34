//! Lanes and labels, which are inserted once and referred to by their ids.
//!
//! They are inserted in order, so that two submissions with the same ones can't deadlock. A separate statement
//! reads the ids, since it sees what another transaction has inserted in the meantime.

use std::collections::{BTreeSet, HashMap};

use mitosis_domain::ids::GroupId;

use crate::StoreError;
use crate::postgres::session::{Params, Session};
use crate::shared::tasks::insert::LaneKey;

/// `$1` is an array of JSON texts.
const INSERT_TAG_SETS: &str = "
    INSERT INTO tag_set (digest, tags)
    SELECT sha256(convert_to(tags, 'UTF8')), tags::jsonb FROM unnest($1::text[]) AS tags
    ORDER BY 1
    ON CONFLICT (digest) DO NOTHING";

const INSERT_LANES: &str = "
    INSERT INTO lane (group_id, tag_set_id, creator_id, limit_set_id, request_id)
    SELECT wanted.group_id, s.id, wanted.creator_id, wanted.limit_set_id, wanted.request_id
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
        AS wanted (group_id, tags, creator_id, limit_set_id, request_id)
    JOIN tag_set s ON s.digest = sha256(convert_to(wanted.tags, 'UTF8'))
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (group_id, tag_set_id, creator_id, limit_set_id, request_id) DO NOTHING";

/// Answers the positions of the wanted lanes, from 1.
const FIND_LANES: &str = "
    SELECT wanted.place, lane.id
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
        WITH ORDINALITY AS wanted (group_id, tags, creator_id, limit_set_id, request_id, place)
    JOIN tag_set s ON s.digest = sha256(convert_to(wanted.tags, 'UTF8'))
    JOIN lane ON lane.group_id = wanted.group_id AND lane.tag_set_id = s.id AND lane.creator_id = wanted.creator_id
        AND lane.limit_set_id = wanted.limit_set_id AND lane.request_id = wanted.request_id";

const INSERT_REQUESTS: &str = "
    INSERT INTO resource_request (request) SELECT * FROM unnest($1::text[]) AS request ORDER BY 1
    ON CONFLICT (request) DO NOTHING";

const FIND_REQUESTS: &str = "SELECT request, id FROM resource_request WHERE request = ANY($1)";

/// The ids of requests; 0 for the default.
async fn requests(
    db: Session<'_>,
    wanted: impl Iterator<Item = &str>,
) -> Result<HashMap<String, i64>, StoreError> {
    let wanted: BTreeSet<&str> = wanted.filter(|request| !request.is_empty()).collect();
    let mut ids = HashMap::from([(String::new(), 0)]);
    if wanted.is_empty() {
        return Ok(ids);
    }
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let mut found: Vec<(String, i64)> =
        db.all(FIND_REQUESTS, &[&wanted], |row| Ok((row.get(0)?, row.get(1)?))).await?;
    if found.len() < wanted.len() {
        db.run(INSERT_REQUESTS, &[&wanted]).await?;
        found = db.all(FIND_REQUESTS, &[&wanted], |row| Ok((row.get(0)?, row.get(1)?))).await?;
    }
    ids.extend(found);
    Ok(ids)
}

/// The lanes for tasks.
pub(crate) async fn lanes<'a>(
    db: Session<'_>,
    wanted: &BTreeSet<LaneKey<'a>>,
) -> Result<HashMap<LaneKey<'a>, i64>, StoreError> {
    let groups: Vec<i64> = wanted.iter().map(|key| key.group.0).collect();
    let tags: Vec<&str> = wanted.iter().map(|key| key.tags).collect();
    let creators: Vec<i64> = wanted.iter().map(|key| key.creator.0).collect();
    let limits: Vec<i64> = wanted.iter().map(LaneKey::stored_limits).collect();
    let ids = requests(db, wanted.iter().map(|key| key.request)).await?;
    let of_requests: Vec<i64> = wanted.iter().map(|key| ids[key.request]).collect();
    let params: Params<'_> = &[&groups, &tags, &creators, &limits, &of_requests];
    let mut found = find_lanes(db, params).await?;
    if found.len() < wanted.len() {
        let different: BTreeSet<&str> = tags.iter().copied().collect();
        let different: Vec<&str> = different.into_iter().collect();
        db.run(INSERT_TAG_SETS, &[&different]).await?;
        db.run(INSERT_LANES, params).await?;
        found = find_lanes(db, params).await?;
    }
    Ok(wanted.iter().zip(1..).filter_map(|(key, place)| Some((*key, *found.get(&place)?))).collect())
}

async fn find_lanes(db: Session<'_>, params: Params<'_>) -> Result<HashMap<i64, i64>, StoreError> {
    db.all(FIND_LANES, params, |row| Ok((row.get(0)?, row.get(1)?))).await
}

const INSERT_LABELS: &str = "
    INSERT INTO label (group_id, name)
    SELECT group_id, name FROM unnest($1::bigint[], $2::text[]) AS wanted (group_id, name)
    ORDER BY 1, 2
    ON CONFLICT (group_id, name) DO NOTHING";

const FIND_LABELS: &str = "
    SELECT label.group_id, label.name, label.id
    FROM unnest($1::bigint[], $2::text[]) AS wanted (group_id, name)
    JOIN label ON label.group_id = wanted.group_id AND label.name = wanted.name";

/// The ids of labels within groups.
pub(crate) async fn labels(
    db: Session<'_>,
    wanted: BTreeSet<(GroupId, &str)>,
) -> Result<HashMap<(GroupId, String), i64>, StoreError> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let groups: Vec<i64> = wanted.iter().map(|(group, _)| group.0).collect();
    let names: Vec<&str> = wanted.iter().map(|(_, name)| *name).collect();
    db.run(INSERT_LABELS, &[&groups, &names]).await?;
    db.all(FIND_LABELS, &[&groups, &names], |row| Ok(((GroupId(row.get(0)?), row.get(1)?), row.get(2)?)))
        .await
}
