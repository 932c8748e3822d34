//! The SQL of a query: the index that it walks, and its other conditions.
//!
//! A query walks one index from its newest end and tests the other conditions on the way. So the cost of a page
//! depends on the rows that it skips, not on the size of the table. A [`Dialect`] has the parts in which the
//! databases differ.

use std::error::Error;

use mitosis_domain::comparison::Comparison;
use mitosis_domain::filter::{Condition, Moment};
use mitosis_domain::ids::TaskId;
use mitosis_domain::tags::TagSet;
use mitosis_protocol::TaskState;
use rusqlite::types::ToSqlOutput;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::db::{Json, Sql, sql};
use crate::enum_codes::{Code, row_count};
use crate::index_choice::{
    EXIT_CODE, FINISHED_AT, NOT_REPEATED, Walk, ended_condition, only_labels, unusual_ends,
};
use crate::ops::query::{Page, TaskQuery};
use crate::ops::sweeps::Selection;

/// The parts of a query in which the databases differ. The alias `t` is the task, `walk` the row of the walked
/// index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    /// `CROSS JOIN` fixes the order of the joins, so that statistics can't change which index a query walks.
    Sqlite,
}

impl Dialect {
    /// Selects the text of this dialect.
    const fn of<T: Copy>(self, postgres: T, sqlite: T) -> T {
        match self {
            Self::Postgres => postgres,
            Self::Sqlite => sqlite,
        }
    }

    /// The join between the walked index and the task, in this order.
    const fn join(self) -> &'static str {
        self.of("JOIN", "CROSS JOIN")
    }

    /// An expression for the number of the state, from the table that holds the task; see `enum_codes.rs`.
    const fn state_of_task(self) -> &'static str {
        const STATE: Sql = sql!(
            "coalesce(
        (SELECT state FROM done WHERE done.task_id = t.id),
        (SELECT coalesce(reported_end, 2::smallint) FROM lease WHERE lease.task_id = t.id),
        (SELECT 0::smallint FROM pending WHERE pending.task_id = t.id),
        (SELECT 0::smallint FROM ready WHERE ready.task_id = t.id AND ready.blocked <> 0),
        1::smallint)"
        );
        self.of(STATE.postgres, STATE.sqlite)
    }

    /// The rows of the index of unusual ends; see [`Walk::Unusual`].
    const fn unusual_ends(self) -> &'static str {
        self.of(
            concat!("SELECT task_id, state, exit_status FROM done WHERE ", unusual_ends!()),
            concat!(
                "SELECT task_id, state, exit_status FROM done INDEXED BY done_unusual WHERE ",
                unusual_ends!()
            ),
        )
    }

    /// Tasks that were reported as cancelled and have no result yet.
    const fn reported_ends(self) -> &'static str {
        const ENDS: Sql = sql!(
            "SELECT task_id, reported_end AS state, NULL::int AS exit_status
        FROM lease WHERE reported_end IS NOT NULL"
        );
        self.of(ENDS.postgres, ENDS.sqlite)
    }

    /// The placeholder of a parameter, counted from 1.
    fn parameter(self, number: usize) -> String {
        format!("{}{number}", self.of('$', '?'))
    }

    /// The task table, if the walked index belongs to it.
    const fn tasks(self, walk: Walk) -> &'static str {
        let by_index = match walk {
            Walk::Creator => "task t INDEXED BY task_by_creator",
            _ => "task t INDEXED BY task_by_group",
        };
        self.of("task t", by_index)
    }

    /// The condition that the task belongs to the group. On PostgreSQL it is a range and not an equality: then
    /// no other index has the requested order, and the planner can't choose one that passes through the tasks
    /// of other groups.
    fn of_group(self, walk: Walk, group: &str) -> String {
        match (self, walk) {
            (Self::Postgres, Walk::Group) => format!("t.group_id >= {group} AND t.group_id <= {group}"),
            _ => format!("t.group_id = {group}"),
        }
    }

    /// The condition that the task has the creator whose index is walked.
    fn of_creator(self, group: &str, creator: &str) -> String {
        match self {
            Self::Postgres => format!(
                "(t.group_id, t.creator_id) >= ({group}, {creator})
             AND (t.group_id, t.creator_id) <= ({group}, {creator})"
            ),
            Self::Sqlite => format!("t.creator_id = {creator}"),
        }
    }

    /// The condition that a value is in a list, which is one parameter.
    fn among(self, value: &str, list: &str) -> String {
        match self {
            Self::Postgres => format!("{value} = ANY({list})"),
            Self::Sqlite => format!("{value} IN (SELECT value FROM json_each({list}))"),
        }
    }

    /// The condition that the tag set contains all of the tags, which are one parameter.
    fn has_tags(self, tags: &str) -> String {
        match self {
            Self::Postgres => format!("tag_set.tags @> {tags}"),
            Self::Sqlite => format!(
                "NOT EXISTS (SELECT value FROM json_each({tags}) EXCEPT SELECT value FROM json_each(tag_set.tags))"
            ),
        }
    }

    /// The condition that the task is older than another one.
    fn before(self, walk: Walk, group: &str, creator: &str, task: &str) -> String {
        match (self, walk) {
            (Self::Postgres, Walk::Group) => format!("(t.group_id, t.id) < ({group}, {task})"),
            (Self::Postgres, Walk::Creator) => {
                format!("(t.group_id, t.creator_id, t.id) < ({group}, {creator}, {task})")
            }
            _ => format!("{} < {task}", walk.id()),
        }
    }

    /// The order of the index, newest first.
    const fn newest_first(self, walk: Walk) -> &'static str {
        match walk {
            Walk::Group => self.of("t.group_id DESC, t.id DESC", "t.id DESC"),
            Walk::Creator => self.of("t.group_id DESC, t.creator_id DESC, t.id DESC", "t.id DESC"),
            Walk::Label | Walk::Reporter | Walk::Live | Walk::Unusual => "walk.task_id DESC",
        }
    }
}

/// A value of a parameter.
#[derive(Debug, Clone)]
pub(crate) enum Parameter {
    Small(i32),
    Number(i64),
    Text(String),
    Texts(Vec<String>),
    Uuid(Uuid),
    Tags(TagSet),
}

impl ToSql for Parameter {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Small(number) => number.to_sql_checked(ty, out),
            Self::Number(number) => number.to_sql_checked(ty, out),
            Self::Text(text) => text.to_sql_checked(ty, out),
            Self::Texts(texts) => texts.to_sql_checked(ty, out),
            Self::Uuid(uuid) => uuid.to_sql_checked(ty, out),
            Self::Tags(tags) => Json(tags).to_sql_checked(ty, out),
        }
    }

    /// Accepts every type, since the value decides.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl rusqlite::ToSql for Parameter {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Small(number) => rusqlite::ToSql::to_sql(number),
            Self::Number(number) => rusqlite::ToSql::to_sql(number),
            Self::Text(text) => rusqlite::ToSql::to_sql(text),
            Self::Texts(texts) => Json(texts).to_sqlite(),
            Self::Uuid(uuid) => rusqlite::ToSql::to_sql(uuid),
            Self::Tags(tags) => Json(tags).to_sqlite(),
        }
    }
}

/// The parameters of a page.
struct PageParameters {
    limit: String,
    offset: String,
    /// The number of matches from the newest to the end of the page.
    enough: String,
}

/// Whether the row of the task is joined if labels are the only conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskRow {
    Joined,
    IfNeeded,
}

/// The SQL of a query, and its parameters.
pub(crate) struct QuerySql {
    walk: Walk,
    only_labels: bool,
    group: String,
    /// The id of the creator whose index is walked.
    creator: String,
    /// The walked tables. No task is in two of them.
    from: Vec<String>,
    conditions: Vec<String>,
    pub(crate) parameters: Vec<Parameter>,
    dialect: Dialect,
}

impl QuerySql {
    /// All matches along a walk; `None` if no task can match.
    pub(crate) fn of(dialect: Dialect, walk: Walk, query: &TaskQuery) -> Option<Self> {
        Self::along(dialect, walk, query, TaskRow::IfNeeded)
    }

    /// The matches that a selection selects.
    pub(crate) fn selected(dialect: Dialect, walk: Walk, selection: &Selection) -> Option<Self> {
        let mut matches = Self::along(dialect, walk, &selection.query, TaskRow::Joined)?;
        if let Some(ended) = selection.ended {
            matches.and(ended_condition(ended));
        }
        if selection.latest {
            matches.and(NOT_REPEATED);
        }
        Some(matches)
    }

    fn along(dialect: Dialect, walk: Walk, query: &TaskQuery, row: TaskRow) -> Option<Self> {
        let mut matches = Self {
            walk,
            only_labels: walk == Walk::Label && row == TaskRow::IfNeeded && only_labels(query),
            group: dialect.parameter(1),
            creator: String::new(),
            from: Vec::new(),
            conditions: Vec::new(),
            parameters: vec![Parameter::Number(query.group.0)],
            dialect,
        };
        if !matches.only_labels {
            matches.and(&dialect.of_group(walk, &matches.group));
        }
        if !matches.walk_and_test_states(query.states.as_deref()) {
            return None;
        }
        matches.test_labels(&query.labels);
        matches.test_tags(&query.tags);
        matches.test_creators(query.creators.as_deref());
        matches.test_reporter(query.reporter);
        matches.test_number("t.priority", query.priority);
        matches.test_number(walk.exit_status(), query.exit_status);
        matches.test_also(&query.also);
        Some(matches)
    }

    /// Restricts the ids: from `id` on, or before `id`, depending on the operator.
    pub(crate) fn bound(&mut self, operator: &str, id: i64) {
        let id = self.bind(Parameter::Number(id));
        self.and(&format!("{} {operator} {id}", self.walk.id()));
    }

    /// The ids of one page, newest first.
    pub(crate) fn select_page(&mut self, page: Page) -> String {
        if let Some(TaskId(before)) = page.before {
            let before = self.bind(Parameter::Number(before));
            self.and(&self.dialect.before(self.walk, &self.group, &self.creator, &before));
        }
        let cut = PageParameters {
            limit: self.bind(rows(page.limit)),
            offset: self.bind(rows(page.offset)),
            enough: self.bind(rows(page.offset.saturating_add(page.limit))),
        };
        self.select(Some(&cut))
    }

    /// The number of matches, counted up to `most`.
    pub(crate) fn select_count(&mut self, most: u64) -> String {
        let limit = self.bind(rows(most));
        let conditions = self.conditions.join(" AND ");
        let walks: Vec<String> =
            self.from.iter().map(|from| format!("SELECT 1 FROM {from} WHERE {conditions}")).collect();
        format!("SELECT count(*) FROM ({} LIMIT {limit}) AS m", walks.join(" UNION ALL "))
    }

    /// Each walk stops where the page ends at the latest, and the results are merged.
    fn select(&self, cut: Option<&PageParameters>) -> String {
        let (id, order) = (self.walk.id(), self.dialect.newest_first(self.walk));
        let conditions = self.conditions.join(" AND ");
        let (limit, enough) =
            cut.map_or_else(Default::default, |PageParameters { limit, offset, enough }| {
                (format!(" LIMIT {limit} OFFSET {offset}"), format!(" LIMIT {enough}"))
            });
        let of_one = |from: &String| {
            format!(
                "SELECT id FROM (
                    SELECT {id} AS id FROM {from} WHERE {conditions} ORDER BY {order}{enough}) AS one"
            )
        };
        let walks: Vec<String> = self.from.iter().map(of_one).collect();
        format!("{} ORDER BY id DESC{limit}", walks.join(" UNION ALL "))
    }

    fn bind(&mut self, value: Parameter) -> String {
        self.parameters.push(value);
        self.dialect.parameter(self.parameters.len())
    }

    fn and(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    /// Adds the walked tables and the condition on the state. Returns false if no task can be in the requested
    /// states.
    fn walk_and_test_states(&mut self, states: Option<&[TaskState]>) -> bool {
        let joined =
            |table: &str| format!("{table} walk {} task t ON t.id = walk.task_id", self.dialect.join());
        let selected = |sql: &str| joined(&format!("({sql})"));
        self.from = match self.walk {
            // No column of the task itself is needed.
            Walk::Label if self.only_labels => vec!["task_label walk".to_owned()],
            Walk::Label => vec![joined("task_label")],
            Walk::Reporter => vec![joined("done")],
            Walk::Group | Walk::Creator => vec![self.dialect.tasks(self.walk).to_owned()],
            Walk::Unusual => {
                [self.dialect.unusual_ends(), self.dialect.reported_ends()].map(selected).to_vec()
            }
            Walk::Live => live_tables(states.unwrap_or_default()).map(selected).collect(),
        };
        let Some(states) = states else { return true };
        if self.walk != Walk::Live {
            let codes: Vec<_> = states.iter().map(|state| state.code().to_string()).collect();
            let state = self.walk.state().unwrap_or(self.dialect.state_of_task());
            self.and(&format!("{state} IN ({})", codes.join(", ")));
        }
        states.iter().any(|state| *state != TaskState::Unknown)
    }

    /// The walk has the first label, the others are looked up for each task.
    fn test_labels(&mut self, labels: &TagSet) {
        let task = self.walk.id();
        for (at, label) in labels.iter().enumerate() {
            let name = self.bind(Parameter::Text(label.to_owned()));
            let id = format!("(SELECT id FROM label WHERE group_id = {} AND name = {name})", self.group);
            if at == 0 && self.walk == Walk::Label {
                self.and(&format!("walk.label_id = {id}"));
            } else {
                self.and(&format!(
                    "EXISTS (SELECT 1 FROM task_label x WHERE x.label_id = {id} AND x.task_id = {task})"
                ));
            }
        }
    }

    /// Tags are a property of the lane, so the few matching lanes are found once.
    fn test_tags(&mut self, tags: &TagSet) {
        if !tags.is_empty() {
            let tags = self.bind(Parameter::Tags(tags.clone()));
            self.and(&format!(
                "t.lane_id IN (
                    SELECT lane.id FROM lane JOIN tag_set ON tag_set.id = lane.tag_set_id
                    WHERE lane.group_id = {} AND {})",
                self.group,
                self.dialect.has_tags(&tags)
            ));
        }
    }

    fn test_creators(&mut self, names: Option<&[String]>) {
        match names {
            None => {}
            Some([name]) if self.walk == Walk::Creator => {
                let name = self.bind(Parameter::Text(name.clone()));
                self.creator = format!("(SELECT id FROM users WHERE username = {name})");
                self.and(&self.dialect.of_creator(&self.group, &self.creator));
            }
            Some(names) => {
                let names = self.bind(Parameter::Texts(names.to_vec()));
                let among = self.dialect.among("username", &names);
                self.and(&format!("t.creator_id IN (SELECT id FROM users WHERE {among})"));
            }
        }
    }

    fn test_reporter(&mut self, reporter: Option<Uuid>) {
        let Some(reporter) = reporter else { return };
        let reporter = self.bind(Parameter::Uuid(reporter));
        if self.walk == Walk::Reporter {
            self.and(&format!("walk.reporter_uuid = {reporter}"));
        } else {
            self.and(&format!(
                "EXISTS (SELECT 1 FROM done x WHERE x.task_id = t.id AND x.reporter_uuid = {reporter})"
            ));
        }
    }

    fn test_also(&mut self, also: &[Condition]) {
        for condition in also {
            match condition {
                Condition::Priority(comparison) => self.test_number("t.priority", Some(*comparison)),
                Condition::ExitCode(comparison) => self.test_number(EXIT_CODE, Some(*comparison)),
                Condition::Created(moment) => self.test_moment("t.created_at", *moment),
                Condition::Finished(moment) => self.test_moment(FINISHED_AT, *moment),
                Condition::Id(uuid) => {
                    let uuid = self.bind(Parameter::Uuid(*uuid));
                    self.and(&format!("t.uuid = {uuid}"));
                }
            }
        }
    }

    fn test_moment(&mut self, time: &str, Moment { operator, at }: Moment) {
        let at = self.bind(Parameter::Number(at.unix_micros()));
        self.and(&format!("{time} {} {at}", operator.as_str()));
    }

    /// Adds a comparison. A missing number is NULL, which satisfies no comparison.
    fn test_number(&mut self, number: &str, comparison: Option<Comparison>) {
        if let Some(Comparison { operator, number: other }) = comparison {
            let other = self.bind(Parameter::Small(other));
            self.and(&format!("{number} {} {other}", operator.as_str()));
        }
    }
}

fn rows(count: u64) -> Parameter {
    Parameter::Number(row_count(count))
}

/// The tables with the tasks in these states.
fn live_tables(states: &[TaskState]) -> impl Iterator<Item = &'static str> {
    let tables = [
        (TaskState::Pending, "SELECT task_id FROM pending"),
        (TaskState::Pending, "SELECT task_id FROM ready WHERE blocked <> 0"),
        (TaskState::Ready, "SELECT task_id FROM ready WHERE blocked = 0"),
        (TaskState::Running, "SELECT task_id FROM lease WHERE reported_end IS NULL"),
    ];
    tables.into_iter().filter(|(state, _)| states.contains(state)).map(|(_, sql)| sql)
}
