//! Which tasks match, newest first; see [`crate::matches`].

use std::time::Duration;

use deadpool_postgres::Client;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use super::super::error;
use super::super::row::{self, Db};
use super::{find, get};
use crate::StoreError;
use crate::matches::{Dialect, Parameter};
use crate::ops::query::{COUNT_STEPS, Count, Page, TaskPage, TaskQuery, weight};
use crate::ops::sweeps::{Over, Selection};
use crate::walk::{FEW, Walk, created_between, unusual_ends};

type Matches = crate::matches::Matches<Postgres>;

/// Tasks that are read at once where it is not known how large they are.
const FIRST: usize = 16;
/// Bytes that are read at once, about.
const PORTION: usize = 4 * 1024 * 1024;

/// One page of matches, up to so many bytes.
pub(super) async fn page(
    db: &impl Db,
    query: &TaskQuery,
    page: Page,
    bytes: usize,
) -> Result<TaskPage, StoreError> {
    let walk = narrowest(db, query, None).await?;
    let Some(mut matches) = Matches::of(walk, query) else { return Ok(TaskPage::empty()) };
    narrow(db, &mut matches, query).await?;
    let sql = matches.select_page(page);
    let ids: Vec<i64> = ask(db, &sql, matches).await?;
    if bytes == usize::MAX {
        return Ok(TaskPage { tasks: get::by_ids(db, &ids).await?, is_whole: true });
    }
    up_to(db, &ids, bytes).await
}

async fn up_to(db: &impl Db, ids: &[i64], bytes: usize) -> Result<TaskPage, StoreError> {
    let (mut page, mut rest, mut read, mut at_once) = (TaskPage::empty(), ids, 0, FIRST);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(at_once.min(rest.len()));
        for task in get::by_ids(db, now).await? {
            if read >= bytes {
                page.is_whole = false;
                return Ok(page);
            }
            read += weight(&task);
            page.tasks.push(task);
        }
        rest = later;
        let average = read / page.tasks.len().max(1);
        at_once = (PORTION / average.max(1)).max(1);
    }
    Ok(page)
}

/// The ids of one page of a selection.
pub(super) async fn selected(
    db: &impl Db,
    selection: &Selection,
    page: Page,
) -> Result<Vec<i64>, StoreError> {
    let walk = narrowest(db, &selection.query, selection.over).await?;
    let Some(mut matches) = Matches::selected(walk, selection) else { return Ok(Vec::new()) };
    narrow(db, &mut matches, &selection.query).await?;
    let sql = matches.select_page(page);
    ask(db, &sql, matches).await
}

const UUIDS_BY_IDS: &str = "SELECT uuid FROM task WHERE id = ANY($1) ORDER BY id DESC";

/// One page of a selection.
pub(super) async fn selected_uuids(
    db: &impl Db,
    selection: &Selection,
    page: Page,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = selected(db, selection, page).await?;
    row::all(db, UUIDS_BY_IDS, &[&ids], row::only).await
}

/// How many match, as far as they can be counted in this time.
pub(super) async fn count(
    client: &mut Client,
    query: &TaskQuery,
    most: u64,
    within: Duration,
) -> Result<Count, StoreError> {
    // The time limit ends with the transaction.
    let tx = client.transaction().await?;
    let milliseconds = within.as_millis().max(1);
    tx.batch_execute(&format!("SET LOCAL statement_timeout = {milliseconds}")).await?;
    let mut at_least = 0;
    for step in COUNT_STEPS.into_iter().filter(|step| *step < most).chain([most]) {
        match count_up_to(&tx, query, step).await {
            Ok(count) if count < step || step == most => {
                return Ok(Count { at_least: count, is_whole: count < most });
            }
            Ok(count) => at_least = count,
            Err(error) if error::took_too_long(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Count { at_least, is_whole: false })
}

async fn count_up_to(db: &impl Db, query: &TaskQuery, most: u64) -> Result<u64, StoreError> {
    let walk = narrowest(db, query, None).await?;
    let Some(mut matches) = Matches::of(walk, query) else { return Ok(0) };
    narrow(db, &mut matches, query).await?;
    let sql = matches.select_count(most);
    let count = ask(db, &sql, matches).await?;
    Ok(count.first().map_or(0, |count| count.unsigned_abs()))
}

/// The ids of the newest matches.
pub(super) async fn newest_ids(db: &impl Db, query: &TaskQuery, limit: u64) -> Result<Vec<i64>, StoreError> {
    let Some(mut matches) = Matches::of(Walk::choose(query), query) else { return Ok(Vec::new()) };
    narrow(db, &mut matches, query).await?;
    let sql = matches.select_page(Page { before: None, offset: 0, limit });
    ask(db, &sql, matches).await
}

/// How many tasks have a label, and how many ends are unusual, each up to a limit.
const COMPARE_WALKS: &str = concat!(
    "SELECT
        (SELECT count(*) FROM (
            SELECT 1 FROM task_label
            WHERE label_id = (SELECT id FROM label WHERE group_id = $1 AND name = $2) LIMIT $3) AS l),
        (SELECT count(*) FROM (SELECT 1 FROM done WHERE ",
    unusual_ends!(),
    " LIMIT $3) AS u)"
);

/// The walk with fewer tasks, where that does not follow from the query alone.
async fn narrowest(db: &impl Db, query: &TaskQuery, over: Option<Over>) -> Result<Walk, StoreError> {
    let walk = Walk::choose(query);
    let (Some(label), true) = (query.labels.iter().next(), walk.may_be_unusual(query, over)) else {
        return Ok(walk);
    };
    let params: row::Params<'_> = &[&query.group.0, &label, &FEW];
    row::one(db, COMPARE_WALKS, params, |row| Ok(walk.or_unusual(row.try_get(0)?, row.try_get(1)?))).await
}

/// Bounds the walk to the ids of the time that is asked about.
async fn narrow(db: &impl Db, matches: &mut Matches, query: &TaskQuery) -> Result<(), StoreError> {
    let (since, until) = created_between(query);
    for (at, operator) in [(since, ">="), (until, "<")] {
        if let Some(at) = at {
            matches.bound(operator, find::first_created(db, at).await?);
        }
    }
    Ok(())
}

async fn ask(db: &impl Db, sql: &str, matches: Matches) -> Result<Vec<i64>, StoreError> {
    let parameters: Vec<Box<dyn ToSql + Send + Sync>> = matches.parameters.into_iter().map(to_sql).collect();
    let parameters: Vec<_> = parameters.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
    row::all_once(db, sql, &parameters, row::only).await
}

fn to_sql(parameter: Parameter) -> Box<dyn ToSql + Send + Sync> {
    match parameter {
        Parameter::Small(number) => Box::new(number),
        Parameter::Number(number) => Box::new(number),
        Parameter::Text(text) => Box::new(text),
        Parameter::Texts(texts) => Box::new(texts),
        Parameter::Uuid(uuid) => Box::new(uuid),
        Parameter::Tags(tags) => Box::new(Json(tags)),
    }
}

struct Postgres;

impl Dialect for Postgres {
    const JOIN: &str = "JOIN";
    const STATE_OF_TASK: &str = "coalesce(
        (SELECT state FROM done WHERE done.task_id = t.id),
        (SELECT coalesce(reported_end, 2::smallint) FROM lease WHERE lease.task_id = t.id),
        (SELECT 0::smallint FROM pending WHERE pending.task_id = t.id),
        1::smallint)";
    const UNUSUAL_ENDS: &str =
        concat!("SELECT task_id, state, exit_status FROM done WHERE ", unusual_ends!());
    const REPORTED_ENDS: &str = "SELECT task_id, reported_end AS state, NULL::int AS exit_status
        FROM lease WHERE reported_end IS NOT NULL";

    fn parameter(number: usize) -> String {
        format!("${number}")
    }

    fn tasks(_: Walk) -> &'static str {
        "task t"
    }

    /// As a range, not as an equality: then no other index is in the order that is asked for, and the
    /// planner can't choose one that leads through the tasks of everybody.
    fn of_group(walk: Walk, group: &str) -> String {
        match walk {
            Walk::Group => format!("t.group_id >= {group} AND t.group_id <= {group}"),
            _ => format!("t.group_id = {group}"),
        }
    }

    fn of_creator(group: &str, creator: &str) -> String {
        format!(
            "(t.group_id, t.creator_id) >= ({group}, {creator})
             AND (t.group_id, t.creator_id) <= ({group}, {creator})"
        )
    }

    fn among(value: &str, list: &str) -> String {
        format!("{value} = ANY({list})")
    }

    fn has_tags(tags: &str) -> String {
        format!("tag_set.tags @> {tags}")
    }

    fn before(walk: Walk, group: &str, creator: &str, task: &str) -> String {
        match walk {
            Walk::Group => format!("(t.group_id, t.id) < ({group}, {task})"),
            Walk::Creator => format!("(t.group_id, t.creator_id, t.id) < ({group}, {creator}, {task})"),
            Walk::Label | Walk::Reporter | Walk::Live | Walk::Unusual => format!("{} < {task}", walk.id()),
        }
    }

    fn newest_first(walk: Walk) -> &'static str {
        match walk {
            Walk::Group => "t.group_id DESC, t.id DESC",
            Walk::Creator => "t.group_id DESC, t.creator_id DESC, t.id DESC",
            Walk::Label | Walk::Reporter | Walk::Live | Walk::Unusual => "walk.task_id DESC",
        }
    }
}
