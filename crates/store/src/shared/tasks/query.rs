//! Task queries, newest first; see [`crate::query_sql`].

use uuid::Uuid;

use super::{find, get};
use crate::StoreError;
use crate::backend::is_timeout;
use crate::db::{Db, List, Params, Sql, Value, only, sql};
use crate::index_choice::{FEW, Walk, created_between, unusual_ends};
use crate::ops::query::{COUNT_STEPS, Count, Page, TaskPage, TaskQuery, approximate_size};
use crate::ops::sweeps::{EndedTasks, Selection};
use crate::query_sql::QuerySql;

/// The number of tasks to read at first, when their sizes are unknown.
const FIRST: usize = 16;
/// The approximate number of bytes to read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// One page of matches, up to a number of bytes.
pub(super) async fn page(
    db: Db<'_>,
    query: &TaskQuery,
    page: Page,
    bytes: usize,
) -> Result<TaskPage, StoreError> {
    let walk = narrowest(db, query, None).await?;
    let Some(mut matches) = QuerySql::of(db.dialect(), walk, query) else { return Ok(TaskPage::empty()) };
    narrow(db, &mut matches, query).await?;
    let sql = matches.select_page(page);
    let ids: Vec<i64> = run_query(db, &sql, matches).await?;
    if bytes == usize::MAX {
        return Ok(TaskPage { tasks: get::by_ids(db, &ids).await?, is_complete: true });
    }
    up_to(db, &ids, bytes).await
}

async fn up_to(db: Db<'_>, ids: &[i64], bytes: usize) -> Result<TaskPage, StoreError> {
    let (mut page, mut rest, mut read, mut at_once) = (TaskPage::empty(), ids, 0, FIRST);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(at_once.min(rest.len()));
        for task in get::by_ids(db, now).await? {
            if read >= bytes {
                page.is_complete = false;
                return Ok(page);
            }
            read += approximate_size(&task);
            page.tasks.push(task);
        }
        rest = later;
        let average = read / page.tasks.len().max(1);
        at_once = (READ_BYTES / average.max(1)).max(1);
    }
    Ok(page)
}

/// The ids of one page of a selection.
pub(super) async fn selected(db: Db<'_>, selection: &Selection, page: Page) -> Result<Vec<i64>, StoreError> {
    let walk = narrowest(db, &selection.query, selection.ended).await?;
    let Some(mut matches) = QuerySql::selected(db.dialect(), walk, selection) else { return Ok(Vec::new()) };
    narrow(db, &mut matches, &selection.query).await?;
    let sql = matches.select_page(page);
    run_query(db, &sql, matches).await
}

const UUIDS_BY_IDS: Sql = sql!("SELECT uuid FROM task WHERE id = ANY($1) ORDER BY id DESC");

/// One page of a selection.
pub(super) async fn selected_uuids(
    db: Db<'_>,
    selection: &Selection,
    page: Page,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = selected(db, selection, page).await?;
    db.all(UUIDS_BY_IDS, &[&List(&ids)], only).await
}

/// Counts the matches within a time limit.
pub(super) async fn count(db: Db<'_>, query: &TaskQuery, most: u64) -> Result<Count, StoreError> {
    let mut at_least = 0;
    for step in COUNT_STEPS.into_iter().filter(|step| *step < most).chain([most]) {
        match count_up_to(db, query, step).await {
            Ok(count) if count < step || step == most => {
                return Ok(Count { at_least: count, is_complete: count < most });
            }
            Ok(count) => at_least = count,
            Err(error) if is_timeout(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Count { at_least, is_complete: false })
}

async fn count_up_to(db: Db<'_>, query: &TaskQuery, most: u64) -> Result<u64, StoreError> {
    let walk = narrowest(db, query, None).await?;
    let Some(mut matches) = QuerySql::of(db.dialect(), walk, query) else { return Ok(0) };
    narrow(db, &mut matches, query).await?;
    let sql = matches.select_count(most);
    let count = run_query(db, &sql, matches).await?;
    Ok(count.first().map_or(0, |count| count.unsigned_abs()))
}

/// The ids of the newest matches.
pub(super) async fn newest_ids(db: Db<'_>, query: &TaskQuery, limit: u64) -> Result<Vec<i64>, StoreError> {
    let Some(mut matches) = QuerySql::of(db.dialect(), Walk::choose(query), query) else {
        return Ok(Vec::new());
    };
    narrow(db, &mut matches, query).await?;
    let sql = matches.select_page(Page { before: None, offset: 0, limit });
    run_query(db, &sql, matches).await
}

/// The number of tasks with a label, and the number of unusual ends, each counted up to a limit.
macro_rules! compare_walks {
    ($index:literal) => {
        concat!(
            "SELECT
                (SELECT count(*) FROM (
                    SELECT 1 FROM task_label
                    WHERE label_id = (SELECT id FROM label WHERE group_id = $1 AND name = $2) LIMIT $3) AS l),
                (SELECT count(*) FROM (SELECT 1 FROM done ",
            $index,
            " WHERE ",
            unusual_ends!(),
            " LIMIT $3) AS u)"
        )
    };
}

const COMPARE_WALKS: Sql =
    Sql { postgres: compare_walks!(""), sqlite: sql!(compare_walks!("INDEXED BY done_unusual")).sqlite };

/// Chooses the walk over fewer tasks, if the query alone doesn't determine it.
async fn narrowest(db: Db<'_>, query: &TaskQuery, ended: Option<EndedTasks>) -> Result<Walk, StoreError> {
    let walk = Walk::choose(query);
    let (Some(label), true) = (query.labels.iter().next(), walk.may_be_unusual(query, ended)) else {
        return Ok(walk);
    };
    let params: Params<'_> = &[&query.group.0, &label, &FEW];
    db.one(COMPARE_WALKS, params, |row| Ok(walk.or_unusual(row.get(0)?, row.get(1)?))).await
}

/// Restricts the walk to the ids from the requested time range.
async fn narrow(db: Db<'_>, matches: &mut QuerySql, query: &TaskQuery) -> Result<(), StoreError> {
    let (since, until) = created_between(query);
    for (at, operator) in [(since, ">="), (until, "<")] {
        if let Some(at) = at {
            matches.bound(operator, find::first_created(db, at).await?);
        }
    }
    Ok(())
}

async fn run_query(db: Db<'_>, sql: &str, matches: QuerySql) -> Result<Vec<i64>, StoreError> {
    let parameters: Vec<&dyn Value> = matches.parameters.iter().map(|value| value as &dyn Value).collect();
    db.all_once(sql, &parameters, only).await
}
