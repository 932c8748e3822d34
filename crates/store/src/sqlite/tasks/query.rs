//! Which tasks match, newest first; see [`crate::matches`]. The order of the joins is fixed by `CROSS JOIN`,
//! so that no statistics can change where a query walks.

use mitosis_domain::ids::TaskId;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use uuid::Uuid;

use super::super::error;
use super::super::row::{Columns, Run, read_count, to_json};
use super::{find, get};
use crate::StoreError;
use crate::matches::{Dialect, Parameter};
use crate::ops::query::{COUNT_STEPS, Count, Page, TaskPage, TaskQuery, weight};
use crate::ops::sweeps::{Over, Selection};
use crate::walk::{FEW, Walk, created_between, unusual_ends};

type Matches = crate::matches::Matches<Sqlite>;

/// One page of matches, up to so many bytes.
pub(super) fn page(
    db: &Connection,
    query: &TaskQuery,
    page: Page,
    bytes: usize,
) -> Result<TaskPage, StoreError> {
    let walk = narrowest(db, query, None)?;
    let Some(mut matches) = Matches::of(walk, query) else { return Ok(TaskPage::empty()) };
    narrow(db, &mut matches, query)?;
    let sql = matches.select_page(page);
    let (mut page, mut read) = (TaskPage::empty(), 0);
    for id in ids(db, &sql, matches)? {
        if read >= bytes {
            page.is_whole = false;
            break;
        }
        let task = get::by_id(db, id)?;
        read += weight(&task);
        page.tasks.push(task);
    }
    Ok(page)
}

/// The ids of one page of a selection.
pub(super) fn selected(
    db: &Connection,
    selection: &Selection,
    page: Page,
) -> Result<Vec<TaskId>, StoreError> {
    let walk = narrowest(db, &selection.query, selection.over)?;
    let Some(mut matches) = Matches::selected(walk, selection) else { return Ok(Vec::new()) };
    narrow(db, &mut matches, &selection.query)?;
    let sql = matches.select_page(page);
    ids(db, &sql, matches)
}

const UUID_BY_ID: &str = "SELECT uuid FROM task WHERE id = ?1";

/// One page of a selection.
pub(super) fn selected_uuids(
    db: &Connection,
    selection: &Selection,
    page: Page,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = selected(db, selection, page)?;
    ids.into_iter().map(|id| db.one(UUID_BY_ID, [id.0], |row| row.uuid("uuid"))).collect()
}

/// How many match, as far as they are counted before somebody interrupts.
pub(super) fn count(db: &Connection, query: &TaskQuery, most: u64) -> Result<Count, StoreError> {
    let mut at_least = 0;
    for step in COUNT_STEPS.into_iter().filter(|step| *step < most).chain([most]) {
        match count_up_to(db, query, step) {
            Ok(count) if count < step || step == most => {
                return Ok(Count { at_least: count, is_whole: count < most });
            }
            Ok(count) => at_least = count,
            Err(error) if error::was_interrupted(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Count { at_least, is_whole: false })
}

fn count_up_to(db: &Connection, query: &TaskQuery, most: u64) -> Result<u64, StoreError> {
    let walk = narrowest(db, query, None)?;
    let Some(mut matches) = Matches::of(walk, query) else { return Ok(0) };
    narrow(db, &mut matches, query)?;
    let sql = matches.select_count(most);
    db.one(&sql, params_from_iter(values(matches)?), read_count)
}

/// The ids of the newest matches.
pub(super) fn newest_ids(db: &Connection, query: &TaskQuery, limit: u64) -> Result<Vec<TaskId>, StoreError> {
    let Some(mut matches) = Matches::of(Walk::choose(query), query) else { return Ok(Vec::new()) };
    narrow(db, &mut matches, query)?;
    let sql = matches.select_page(Page { before: None, offset: 0, limit });
    ids(db, &sql, matches)
}

/// How many tasks have a label, and how many ends are unusual, each up to a limit.
const COMPARE_WALKS: &str = concat!(
    "SELECT
        (SELECT count(*) FROM (
            SELECT 1 FROM task_label
            WHERE label_id = (SELECT id FROM label WHERE group_id = ?1 AND name = ?2) LIMIT ?3)),
        (SELECT count(*) FROM (SELECT 1 FROM done INDEXED BY done_unusual WHERE ",
    unusual_ends!(),
    " LIMIT ?3))"
);

/// The walk with fewer tasks, where that does not follow from the query alone.
fn narrowest(db: &Connection, query: &TaskQuery, over: Option<Over>) -> Result<Walk, StoreError> {
    let walk = Walk::choose(query);
    let (Some(label), true) = (query.labels.iter().next(), walk.may_be_unusual(query, over)) else {
        return Ok(walk);
    };
    let params = params![query.group.0, label, FEW];
    db.one(COMPARE_WALKS, params, |row| Ok(walk.or_unusual(row.get(0)?, row.get(1)?)))
}

/// Bounds the walk to the ids of the time that is asked about.
fn narrow(db: &Connection, matches: &mut Matches, query: &TaskQuery) -> Result<(), StoreError> {
    let (since, until) = created_between(query);
    for (at, operator) in [(since, ">="), (until, "<")] {
        if let Some(at) = at {
            matches.bound(operator, find::first_created(db, at)?);
        }
    }
    Ok(())
}

fn ids(db: &Connection, sql: &str, matches: Matches) -> Result<Vec<TaskId>, StoreError> {
    db.all(sql, params_from_iter(values(matches)?), |row| Ok(TaskId(row.get(0)?)))
}

fn values(matches: Matches) -> Result<Vec<Value>, StoreError> {
    let value = |parameter| {
        Ok(match parameter {
            Parameter::Small(number) => Value::from(number),
            Parameter::Number(number) => Value::from(number),
            Parameter::Text(text) => Value::from(text),
            Parameter::Texts(texts) => Value::from(to_json(&texts)?),
            Parameter::Uuid(uuid) => Value::from(uuid.as_bytes().to_vec()),
            Parameter::Tags(tags) => Value::from(to_json(&tags)?),
        })
    };
    matches.parameters.into_iter().map(value).collect()
}

struct Sqlite;

impl Dialect for Sqlite {
    const JOIN: &str = "CROSS JOIN";
    const STATE_OF_TASK: &str = "coalesce(
        (SELECT state FROM done WHERE done.task_id = t.id),
        (SELECT coalesce(reported_end, 2) FROM lease WHERE lease.task_id = t.id),
        (SELECT 0 FROM pending WHERE pending.task_id = t.id),
        1)";
    const UNUSUAL_ENDS: &str = concat!(
        "SELECT task_id, state, exit_status FROM done INDEXED BY done_unusual WHERE ",
        unusual_ends!()
    );
    const REPORTED_ENDS: &str = "SELECT task_id, reported_end AS state, NULL AS exit_status
        FROM lease WHERE reported_end IS NOT NULL";

    fn parameter(number: usize) -> String {
        format!("?{number}")
    }

    fn tasks(walk: Walk) -> &'static str {
        match walk {
            Walk::Creator => "task t INDEXED BY task_by_creator",
            _ => "task t INDEXED BY task_by_group",
        }
    }

    fn of_group(_: Walk, group: &str) -> String {
        format!("t.group_id = {group}")
    }

    fn of_creator(_: &str, creator: &str) -> String {
        format!("t.creator_id = {creator}")
    }

    fn among(value: &str, list: &str) -> String {
        format!("{value} IN (SELECT value FROM json_each({list}))")
    }

    fn has_tags(tags: &str) -> String {
        format!(
            "NOT EXISTS (SELECT value FROM json_each({tags}) EXCEPT SELECT value FROM json_each(tag_set.tags))"
        )
    }

    fn before(walk: Walk, _: &str, _: &str, task: &str) -> String {
        format!("{} < {task}", walk.id())
    }

    fn newest_first(walk: Walk) -> &'static str {
        match walk {
            Walk::Group | Walk::Creator => "t.id DESC",
            Walk::Label | Walk::Reporter | Walk::Live | Walk::Unusual => "walk.task_id DESC",
        }
    }
}
