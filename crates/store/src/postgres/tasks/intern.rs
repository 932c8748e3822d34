//! Lanes and labels: found or made once, known by number from then on.
//!
//! Made in order, so that two submissions that make the same ones never wait for each other in a circle.
//! Found in a statement of its own, which sees what another transaction has made meanwhile.

use std::collections::{BTreeSet, HashMap};

use mitosis_domain::ids::{GroupId, LaneId};
use mitosis_domain::tags::Words;

use super::super::row::{self, Db, to_json};
use crate::StoreError;

/// `$1` are JSON texts.
const MAKE_TAG_SETS: &str = "
    INSERT INTO tag_set (digest, tags)
    SELECT sha256(convert_to(tags, 'UTF8')), tags::jsonb FROM unnest($1::text[]) AS tags
    ORDER BY 1
    ON CONFLICT (digest) DO NOTHING";

const MAKE_LANES: &str = "
    INSERT INTO lane (group_id, tag_set_id)
    SELECT wanted.group_id, s.id
    FROM unnest($1::bigint[], $2::text[]) AS wanted (group_id, tags)
    JOIN tag_set s ON s.digest = sha256(convert_to(wanted.tags, 'UTF8'))
    ORDER BY 1, 2
    ON CONFLICT (group_id, tag_set_id) DO NOTHING";

const FIND_LANES: &str = "
    SELECT wanted.group_id, wanted.tags, lane.id
    FROM unnest($1::bigint[], $2::text[]) AS wanted (group_id, tags)
    JOIN tag_set s ON s.digest = sha256(convert_to(wanted.tags, 'UTF8'))
    JOIN lane ON lane.group_id = wanted.group_id AND lane.tag_set_id = s.id";

/// The lanes of tag sets within groups.
pub(super) async fn lanes(
    tx: &impl Db,
    wanted: BTreeSet<(GroupId, &Words)>,
) -> Result<HashMap<(GroupId, Words), LaneId>, StoreError> {
    let groups: Vec<i64> = wanted.iter().map(|(group, _)| group.0).collect();
    let tags: Vec<String> = wanted.iter().map(|(_, tags)| to_json(tags)).collect::<Result<_, _>>()?;
    let mut found = find_lanes(tx, &groups, &tags).await?;
    if found.len() < wanted.len() {
        let different: BTreeSet<&String> = tags.iter().collect();
        let different: Vec<&String> = different.into_iter().collect();
        row::run(tx, MAKE_TAG_SETS, &[&different]).await?;
        row::run(tx, MAKE_LANES, &[&groups, &tags]).await?;
        found = find_lanes(tx, &groups, &tags).await?;
    }
    Ok(wanted
        .into_iter()
        .zip(tags)
        .filter_map(|((group, words), tags)| {
            found.get(&(group.0, tags)).map(|lane| ((group, words.clone()), LaneId(*lane)))
        })
        .collect())
}

async fn find_lanes(
    tx: &impl Db,
    groups: &[i64],
    tags: &[String],
) -> Result<HashMap<(i64, String), i64>, StoreError> {
    row::all(tx, FIND_LANES, &[&groups, &tags], |row| {
        Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))
    })
    .await
}

const MAKE_LABELS: &str = "
    INSERT INTO label (group_id, name)
    SELECT group_id, name FROM unnest($1::bigint[], $2::text[]) AS wanted (group_id, name)
    ORDER BY 1, 2
    ON CONFLICT (group_id, name) DO NOTHING";

const FIND_LABELS: &str = "
    SELECT label.group_id, label.name, label.id
    FROM unnest($1::bigint[], $2::text[]) AS wanted (group_id, name)
    JOIN label ON label.group_id = wanted.group_id AND label.name = wanted.name";

/// The numbers of labels within groups.
pub(super) async fn labels(
    tx: &impl Db,
    wanted: BTreeSet<(GroupId, &str)>,
) -> Result<HashMap<(GroupId, String), i64>, StoreError> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let groups: Vec<i64> = wanted.iter().map(|(group, _)| group.0).collect();
    let names: Vec<&str> = wanted.iter().map(|(_, name)| *name).collect();
    row::run(tx, MAKE_LABELS, &[&groups, &names]).await?;
    row::all(tx, FIND_LABELS, &[&groups, &names], |row| {
        Ok(((GroupId(row.try_get(0)?), row.try_get(1)?), row.try_get(2)?))
    })
    .await
}
