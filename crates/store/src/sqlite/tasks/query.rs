//! Which tasks match, newest first.
//!
//! A query walks one index from its newest end and tests the other conditions on the way, so a page
//! costs what it passes over and not what the table holds. Which index to walk ([`Walk`]) follows from
//! the query alone; the order of the joins is fixed by `CROSS JOIN`, so that no statistics can change it.

use mitosis_domain::comparison::Comparison;
use mitosis_domain::filter::{Condition, Moment};
use mitosis_domain::ids::TaskId;
use mitosis_domain::tags::Words;
use mitosis_domain::task::Task;
use mitosis_protocol::TaskState;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use uuid::Uuid;

use super::super::row::{Columns, Run, read_count, row_count, to_json};
use super::{find, get};
use crate::Fault;
use crate::code::Code;
use crate::ops::query::{Page, TaskQuery};
use crate::ops::sweeps::{Over, Selection};
use crate::walk::{
    EXIT_CODE, FEW, FINISHED_AT, NOT_REPEATED, Walk, created_between, only_labels, over_condition,
    unusual_ends,
};

/// One page of matches.
pub(super) fn page(db: &Connection, query: &TaskQuery, page: Page) -> Result<Vec<Task>, Fault> {
    let walk = narrowest(db, query, None)?;
    let Some(mut matches) = Matches::along(walk, query, false)? else { return Ok(Vec::new()) };
    matches.narrow(db, query)?;
    matches.page(db, page)?.into_iter().map(|id| get::by_id(db, id)).collect()
}

/// The ids of one page of a selection.
pub(super) fn selected(db: &Connection, selection: &Selection, page: Page) -> Result<Vec<TaskId>, Fault> {
    let walk = narrowest(db, &selection.query, selection.over)?;
    let Some(mut matches) = Matches::along(walk, &selection.query, true)? else { return Ok(Vec::new()) };
    matches.narrow(db, &selection.query)?;
    if let Some(over) = selection.over {
        matches.and(over_condition(over));
    }
    if selection.latest {
        matches.and(NOT_REPEATED);
    }
    matches.page(db, page)
}

const UUID_BY_ID: &str = "SELECT uuid FROM task WHERE id = ?1";

/// One page of a selection.
pub(super) fn selected_uuids(db: &Connection, selection: &Selection, page: Page) -> Result<Vec<Uuid>, Fault> {
    let ids = selected(db, selection, page)?;
    ids.into_iter().map(|id| db.one(UUID_BY_ID, [id.0], |row| row.uuid("uuid"))).collect()
}

/// How many match.
pub(super) fn count(db: &Connection, query: &TaskQuery, most: u64) -> Result<u64, Fault> {
    let walk = narrowest(db, query, None)?;
    let Some(mut matches) = Matches::along(walk, query, false)? else { return Ok(0) };
    matches.narrow(db, query)?;
    let limit = matches.bind(row_count(most));
    let sql = matches.select_count(&limit);
    db.one(&sql, params_from_iter(&matches.parameters), read_count)
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
fn narrowest(db: &Connection, query: &TaskQuery, over: Option<Over>) -> Result<Walk, Fault> {
    let walk = Walk::choose(query);
    let (Some(label), true) = (query.labels.iter().next(), walk.may_be_unusual(query, over)) else {
        return Ok(walk);
    };
    let params = params![query.group.0, label, FEW];
    let (labelled, unusual): (u32, u32) =
        db.one(COMPARE_WALKS, params, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(if labelled < FEW || labelled < unusual { walk } else { Walk::Unusual })
}

/// The ids of all matches.
pub(super) fn all_ids(db: &Connection, query: &TaskQuery) -> Result<Vec<TaskId>, Fault> {
    let Some(mut matches) = Matches::of(query)? else { return Ok(Vec::new()) };
    matches.narrow(db, query)?;
    matches.run(db, &matches.select_ids(None))
}

/// The parameters of a page.
struct Cut {
    limit: String,
    offset: String,
    /// From the newest to the end of the page.
    enough: String,
}

/// A query as SQL: where it walks, and what else must hold.
struct Matches {
    walk: Walk,
    only_labels: bool,
    /// No task is in two of them.
    from: Vec<String>,
    conditions: Vec<String>,
    parameters: Vec<Value>,
}

impl Matches {
    /// `None` when no task can match.
    fn of(query: &TaskQuery) -> Result<Option<Self>, Fault> {
        Self::along(Walk::choose(query), query, false)
    }

    /// Where labels are all that is asked for, the task itself is only looked at if it must be `joined`.
    fn along(walk: Walk, query: &TaskQuery, joined: bool) -> Result<Option<Self>, Fault> {
        let only_labels = walk == Walk::Label && !joined && only_labels(query);
        let (from, conditions, parameters) = (Vec::new(), Vec::new(), Vec::new());
        let mut matches = Self { walk, only_labels, from, conditions, parameters };
        let group = matches.bind(query.group.0);
        if !matches.only_labels {
            matches.and(&format!("t.group_id = {group}"));
        }
        if !matches.walk_and_test_states(query.states.as_deref()) {
            return Ok(None);
        }
        matches.test_labels(&query.labels, &group);
        matches.test_tags(&query.tags, &group)?;
        matches.test_creators(query.creators.as_deref())?;
        matches.test_reporter(query);
        matches.test_number("t.priority", query.priority);
        matches.test_number(walk.exit_status(), query.exit_status);
        matches.test_also(&query.also);
        Ok(Some(matches))
    }

    /// Bounds the walk to the ids of the time that is asked about.
    fn narrow(&mut self, db: &Connection, query: &TaskQuery) -> Result<(), Fault> {
        let (since, until) = created_between(query);
        for (at, operator) in [(since, ">="), (until, "<")] {
            let Some(at) = at else { continue };
            let first = self.bind(find::first_created(db, at)?);
            self.and(&format!("{} {operator} {first}", self.walk.id()));
        }
        Ok(())
    }

    fn test_also(&mut self, also: &[Condition]) {
        for condition in also {
            match condition {
                Condition::Priority(comparison) => self.test_number("t.priority", Some(*comparison)),
                Condition::ExitCode(comparison) => self.test_number(EXIT_CODE, Some(*comparison)),
                Condition::Created(moment) => self.test_moment("t.created_at", *moment),
                Condition::Finished(moment) => self.test_moment(FINISHED_AT, *moment),
                Condition::Id(uuid) => {
                    let uuid = self.bind(uuid.as_bytes().to_vec());
                    self.and(&format!("t.uuid = {uuid}"));
                }
            }
        }
    }

    fn test_moment(&mut self, time: &str, Moment { operator, at }: Moment) {
        let at = self.bind(at.unix_micros());
        self.and(&format!("{time} {} {at}", operator.as_str()));
    }

    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.parameters.push(value.into());
        format!("?{}", self.parameters.len())
    }

    fn and(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    /// False when no state is asked for that a task can be in.
    fn walk_and_test_states(&mut self, states: Option<&[TaskState]>) -> bool {
        let joined = |table: &str| format!("{table} walk CROSS JOIN task t ON t.id = walk.task_id");
        let selected = |sql: &str| joined(&format!("({sql})"));
        self.from = match self.walk {
            // Nothing of the task itself is needed.
            Walk::Label if self.only_labels => vec!["task_label walk".to_owned()],
            Walk::Label => vec![joined("task_label")],
            Walk::Reporter => vec![joined("done")],
            Walk::Group => vec!["task t INDEXED BY task_by_group".to_owned()],
            Walk::Creator => vec!["task t INDEXED BY task_by_creator".to_owned()],
            Walk::Unusual => [UNUSUAL_ENDS, REPORTED_ENDS].map(selected).to_vec(),
            Walk::Live => live_tables(states.unwrap_or_default()).map(selected).collect(),
        };
        let Some(states) = states else { return true };
        if self.walk != Walk::Live {
            let codes: Vec<_> = states.iter().map(|state| state.code().to_string()).collect();
            let state = self.walk.state().unwrap_or(STATE_OF_TASK);
            self.and(&format!("{state} IN ({})", codes.join(", ")));
        }
        states.iter().any(|state| *state != TaskState::Unknown)
    }

    /// The first label is walked along, the others are looked up for each task.
    fn test_labels(&mut self, labels: &Words, group: &str) {
        let task = self.walk.id();
        for (at, label) in labels.iter().enumerate() {
            let name = self.bind(label.to_owned());
            let id = format!("(SELECT id FROM label WHERE group_id = {group} AND name = {name})");
            if at == 0 && self.walk == Walk::Label {
                self.and(&format!("walk.label_id = {id}"));
            } else {
                self.and(&format!(
                    "EXISTS (SELECT 1 FROM task_label x WHERE x.label_id = {id} AND x.task_id = {task})"
                ));
            }
        }
    }

    /// Tags are a property of the lane: the few lanes that qualify are found once.
    fn test_tags(&mut self, tags: &Words, group: &str) -> Result<(), Fault> {
        if !tags.is_empty() {
            let tags = self.bind(to_json(tags)?);
            self.and(&format!(
                "t.lane_id IN (
                    SELECT lane.id FROM lane JOIN tag_set ON tag_set.id = lane.tag_set_id
                    WHERE lane.group_id = {group} AND NOT EXISTS (
                        SELECT value FROM json_each({tags}) EXCEPT SELECT value FROM json_each(tag_set.tags)))"
            ));
        }
        Ok(())
    }

    fn test_creators(&mut self, names: Option<&[String]>) -> Result<(), Fault> {
        if self.walk == Walk::Creator {
            let name = self.bind(names.and_then(<[_]>::first).cloned());
            self.and(&format!("t.creator_id = (SELECT id FROM users WHERE username = {name})"));
        } else if let Some(names) = names {
            let names = self.bind(to_json(&names)?);
            self.and(&format!(
                "t.creator_id IN (
                    SELECT id FROM users WHERE username IN (SELECT value FROM json_each({names})))"
            ));
        }
        Ok(())
    }

    fn test_reporter(&mut self, query: &TaskQuery) {
        let Some(reporter) = query.reporter else { return };
        let reporter = self.bind(reporter.as_bytes().to_vec());
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

    fn page(mut self, db: &Connection, page: Page) -> Result<Vec<TaskId>, Fault> {
        if let Some(before) = page.before {
            let before = self.bind(before.0);
            self.and(&format!("{} < {before}", self.walk.id()));
        }
        let cut = Cut {
            limit: self.bind(row_count(page.limit)),
            offset: self.bind(row_count(page.offset)),
            enough: self.bind(row_count(page.offset.saturating_add(page.limit))),
        };
        self.run(db, &self.select_ids(Some(&cut)))
    }

    /// Newest first. Each walk stops where the page can't reach any more, and they are merged.
    fn select_ids(&self, cut: Option<&Cut>) -> String {
        let id = self.walk.id();
        let from_one = |from: &String| {
            format!(
                "SELECT {id} AS id FROM {from} WHERE {} ORDER BY {id} DESC",
                self.conditions.join(" AND ")
            )
        };
        let (limit, enough) = cut.map_or_else(Default::default, |Cut { limit, offset, enough }| {
            (format!(" LIMIT {limit} OFFSET {offset}"), format!(" LIMIT {enough}"))
        });
        let walks: Vec<String> = self
            .from
            .iter()
            .map(|from| format!("SELECT id FROM ({}{enough}) AS one", from_one(from)))
            .collect();
        format!("{} ORDER BY id DESC{limit}", walks.join(" UNION ALL "))
    }

    /// In no order; stops at the limit.
    fn select_count(&self, limit: &str) -> String {
        let conditions = self.conditions.join(" AND ");
        let walks: Vec<String> =
            self.from.iter().map(|from| format!("SELECT 1 FROM {from} WHERE {conditions}")).collect();
        format!("SELECT count(*) FROM ({} LIMIT {limit}) AS m", walks.join(" UNION ALL "))
    }

    fn run(&self, db: &Connection, sql: &str) -> Result<Vec<TaskId>, Fault> {
        db.all(sql, params_from_iter(&self.parameters), |row| Ok(TaskId(row.get(0)?)))
    }
}

/// The number of the state, from whichever table holds the task; see `code.rs`.
const STATE_OF_TASK: &str = "coalesce(
    (SELECT state FROM done WHERE done.task_id = t.id),
    (SELECT coalesce(reported_end, 2) FROM lease WHERE lease.task_id = t.id),
    (SELECT 0 FROM pending WHERE pending.task_id = t.id),
    1)";

const UNUSUAL_ENDS: &str =
    concat!("SELECT task_id, state, exit_status FROM done INDEXED BY done_unusual WHERE ", unusual_ends!());

/// What was reported to be cancelled, and has no result yet.
const REPORTED_ENDS: &str = "SELECT task_id, reported_end AS state, NULL AS exit_status
    FROM lease WHERE reported_end IS NOT NULL";

/// Where the tasks in these states are.
fn live_tables(states: &[TaskState]) -> impl Iterator<Item = &'static str> {
    let tables = [
        (TaskState::Pending, "SELECT task_id FROM pending"),
        (TaskState::Ready, "SELECT task_id FROM ready"),
        (TaskState::Running, "SELECT task_id FROM lease WHERE reported_end IS NULL"),
    ];
    tables.into_iter().filter(|(state, _)| states.contains(state)).map(|(_, sql)| sql)
}
