//! Which tasks match, newest first.
//!
//! A query walks one index from its newest end and tests the other conditions on the way, so a page
//! costs what it passes over and not what the table holds. Which index to walk ([`Walk`]) follows from
//! the query alone.

use mitosis_domain::comparison::Comparison;
use mitosis_domain::tags::Words;
use mitosis_domain::task::Task;
use mitosis_protocol::TaskState;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use super::super::row::{self, Db, row_count};
use super::get;
use crate::Fault;
use crate::code::Code;
use crate::ops::query::{Page, TaskQuery};
use crate::ops::sweeps::Selection;
use crate::walk::{NOT_REPEATED, Walk, over_condition};

/// One page of matches.
pub(super) async fn page(db: &impl Db, query: &TaskQuery, page: Page) -> Result<Vec<Task>, Fault> {
    let Some(matches) = Matches::of(query) else { return Ok(Vec::new()) };
    let ids = matches.page(db, page).await?;
    get::by_ids(db, &ids).await
}

/// The ids of one page of a selection.
pub(super) async fn selected(db: &impl Db, selection: &Selection, page: Page) -> Result<Vec<i64>, Fault> {
    let Some(mut matches) = Matches::of(&selection.query) else { return Ok(Vec::new()) };
    if let Some(over) = selection.over {
        matches.and(over_condition(over));
    }
    if selection.latest {
        matches.and(NOT_REPEATED);
    }
    matches.page(db, page).await
}

const UUIDS_BY_IDS: &str = "SELECT uuid FROM task WHERE id = ANY($1) ORDER BY id DESC";

/// One page of a selection.
pub(super) async fn selected_uuids(
    db: &impl Db,
    selection: &Selection,
    page: Page,
) -> Result<Vec<Uuid>, Fault> {
    let ids = selected(db, selection, page).await?;
    row::all(db, UUIDS_BY_IDS, &[&ids], row::only).await
}

/// How many match.
pub(super) async fn count(db: &impl Db, query: &TaskQuery) -> Result<u64, Fault> {
    let Some(matches) = Matches::of(query) else { return Ok(0) };
    let count = row::one(db, &matches.select_count(), &matches.params(), row::only::<i64>).await?;
    Ok(count.unsigned_abs())
}

/// The ids of all matches.
pub(super) async fn all_ids(db: &impl Db, query: &TaskQuery) -> Result<Vec<i64>, Fault> {
    let Some(matches) = Matches::of(query) else { return Ok(Vec::new()) };
    row::all(db, &matches.select_ids(), &matches.params(), row::only).await
}

type Parameter = Box<dyn ToSql + Send + Sync>;

/// A query as SQL: where it walks, and what else must hold.
struct Matches {
    walk: Walk,
    from: String,
    conditions: Vec<String>,
    parameters: Vec<Parameter>,
}

impl Matches {
    /// `None` when no task can match.
    fn of(query: &TaskQuery) -> Option<Self> {
        let walk = Walk::choose(query);
        let mut matches = Self { walk, from: String::new(), conditions: Vec::new(), parameters: Vec::new() };
        let group = matches.bind(query.group.0);
        matches.and(&format!("t.group_id = {group}"));
        if !matches.walk_and_test_states(query.states.as_deref()) {
            return None;
        }
        matches.test_labels(&query.labels, &group);
        matches.test_tags(&query.tags, &group);
        matches.test_creators(query.creators.as_deref());
        matches.test_reporter(query);
        matches.test_number("t.priority", query.priority);
        matches.test_number("(SELECT exit_status FROM done WHERE done.task_id = t.id)", query.exit_status);
        Some(matches)
    }

    fn bind(&mut self, value: impl ToSql + Send + Sync + 'static) -> String {
        self.parameters.push(Box::new(value));
        format!("${}", self.parameters.len())
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.parameters.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
    }

    fn and(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    /// False when no state is asked for that a task can be in.
    fn walk_and_test_states(&mut self, states: Option<&[TaskState]>) -> bool {
        self.from = match self.walk {
            Walk::Label => "task_label walk JOIN task t ON t.id = walk.task_id".to_owned(),
            Walk::Reporter => "done walk JOIN task t ON t.id = walk.task_id".to_owned(),
            Walk::Group => "task t".to_owned(),
            Walk::Live => {
                let tables = live_tables(states.unwrap_or_default());
                format!("({tables}) walk JOIN task t ON t.id = walk.task_id")
            }
        };
        let Some(states) = states else { return true };
        if self.walk != Walk::Live {
            let codes: Vec<_> = states.iter().map(|state| state.code().to_string()).collect();
            self.and(&format!("{STATE_OF_TASK} IN ({})", codes.join(", ")));
        }
        states.iter().any(|state| *state != TaskState::Unknown)
    }

    /// The first label is walked along, the others are looked up for each task.
    fn test_labels(&mut self, labels: &Words, group: &str) {
        for (at, label) in labels.iter().enumerate() {
            let name = self.bind(label.to_owned());
            let id = format!("(SELECT id FROM label WHERE group_id = {group} AND name = {name})");
            if at == 0 {
                self.and(&format!("walk.label_id = {id}"));
            } else {
                self.and(&format!(
                    "EXISTS (SELECT 1 FROM task_label x WHERE x.label_id = {id} AND x.task_id = t.id)"
                ));
            }
        }
    }

    /// Tags are a property of the lane: the few lanes that qualify are found once.
    fn test_tags(&mut self, tags: &Words, group: &str) {
        if !tags.is_empty() {
            let tags = self.bind(Json(tags.clone()));
            self.and(&format!(
                "t.lane_id IN (
                    SELECT lane.id FROM lane JOIN tag_set ON tag_set.id = lane.tag_set_id
                    WHERE lane.group_id = {group} AND tag_set.tags @> {tags})"
            ));
        }
    }

    fn test_creators(&mut self, names: Option<&[String]>) {
        if let Some(names) = names {
            let names = self.bind(names.to_vec());
            self.and(&format!("t.creator_id IN (SELECT id FROM users WHERE username = ANY({names}))"));
        }
    }

    fn test_reporter(&mut self, query: &TaskQuery) {
        let Some(reporter) = query.reporter else { return };
        let reporter = self.bind(reporter);
        if self.walk == Walk::Reporter {
            self.and(&format!("walk.reporter_uuid = {reporter}"));
        } else {
            self.and(&format!(
                "EXISTS (SELECT 1 FROM done x WHERE x.task_id = t.id AND x.reporter_uuid = {reporter})"
            ));
        }
    }

    /// A task without the number compares as NULL, which no condition accepts.
    fn test_number(&mut self, number: &str, comparison: Option<Comparison>) {
        if let Some(Comparison { operator, number: other }) = comparison {
            let other = self.bind(other);
            self.and(&format!("{number} {} {other}", operator.as_str()));
        }
    }

    async fn page(mut self, db: &impl Db, page: Page) -> Result<Vec<i64>, Fault> {
        if let Some(before) = page.before {
            let before = self.bind(before.0);
            self.and(&format!("{} < {before}", self.walk.id()));
        }
        let limit = self.bind(row_count(page.limit));
        let offset = self.bind(row_count(page.offset));
        let sql = format!("{} LIMIT {limit} OFFSET {offset}", self.select_ids());
        row::all(db, &sql, &self.params(), row::only).await
    }

    fn select_ids(&self) -> String {
        let id = self.walk.id();
        format!("SELECT {id} FROM {} WHERE {} ORDER BY {id} DESC", self.from, self.conditions.join(" AND "))
    }

    fn select_count(&self) -> String {
        format!("SELECT count(*) FROM {} WHERE {}", self.from, self.conditions.join(" AND "))
    }
}

/// The number of the state, from whichever table holds the task; see `code.rs`.
const STATE_OF_TASK: &str = "coalesce(
    (SELECT state FROM done WHERE done.task_id = t.id),
    (SELECT coalesce(reported_end, 2::smallint) FROM lease WHERE lease.task_id = t.id),
    (SELECT 0::smallint FROM pending WHERE pending.task_id = t.id),
    1::smallint)";

fn live_tables(states: &[TaskState]) -> String {
    let tables = [
        (TaskState::Pending, "SELECT task_id FROM pending"),
        (TaskState::Ready, "SELECT task_id FROM ready"),
        (TaskState::Running, "SELECT task_id FROM lease WHERE reported_end IS NULL"),
    ];
    let chosen: Vec<_> =
        tables.into_iter().filter(|(state, _)| states.contains(state)).map(|(_, sql)| sql).collect();
    match chosen.is_empty() {
        true => "SELECT NULL::bigint AS task_id WHERE false".to_owned(),
        false => chosen.join(" UNION ALL "),
    }
}
