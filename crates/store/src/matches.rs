//! A query as SQL: where it walks, and what else must hold.
//!
//! A query walks one index from its newest end and tests the other conditions on the way, so a page
//! costs what it passes over and not what the table holds. Where the databases
//! have words of their own, a [`Dialect`] has both.

use std::error::Error;

use mitosis_domain::comparison::Comparison;
use mitosis_domain::filter::{Condition, Moment};
use mitosis_domain::ids::TaskId;
use mitosis_domain::tags::Words;
use mitosis_protocol::TaskState;
use rusqlite::types::ToSqlOutput;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::code::{Code, row_count};
use crate::db::{Json, Sql, sql};
use crate::ops::query::{Page, TaskQuery};
use crate::ops::sweeps::Selection;
use crate::walk::{EXIT_CODE, FINISHED_AT, NOT_REPEATED, Walk, only_labels, over_condition, unusual_ends};

/// What a database has its own words for. Alias `t` is the task, `walk` what is walked along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    /// The order of the joins is fixed by `CROSS JOIN`, so that no statistics can change where a query walks.
    Sqlite,
}

impl Dialect {
    /// One of two texts.
    const fn of<T: Copy>(self, postgres: T, sqlite: T) -> T {
        match self {
            Self::Postgres => postgres,
            Self::Sqlite => sqlite,
        }
    }

    /// Joins the task to what is walked along, in that order.
    const fn join(self) -> &'static str {
        self.of("JOIN", "CROSS JOIN")
    }

    /// The number of the state, from whichever table holds the task; see `code.rs`.
    const fn state_of_task(self) -> &'static str {
        const STATE: Sql = sql!(
            "coalesce(
        (SELECT state FROM done WHERE done.task_id = t.id),
        (SELECT coalesce(reported_end, 2::smallint) FROM lease WHERE lease.task_id = t.id),
        (SELECT 0::smallint FROM pending WHERE pending.task_id = t.id),
        1::smallint)"
        );
        self.of(STATE.postgres, STATE.sqlite)
    }

    /// Ends that are unusual; see [`Walk::Unusual`].
    const fn unusual_ends(self) -> &'static str {
        self.of(
            concat!("SELECT task_id, state, exit_status FROM done WHERE ", unusual_ends!()),
            concat!(
                "SELECT task_id, state, exit_status FROM done INDEXED BY done_unusual WHERE ",
                unusual_ends!()
            ),
        )
    }

    /// What was reported to be cancelled, and has no result yet.
    const fn reported_ends(self) -> &'static str {
        const ENDS: Sql = sql!(
            "SELECT task_id, reported_end AS state, NULL::int AS exit_status
        FROM lease WHERE reported_end IS NOT NULL"
        );
        self.of(ENDS.postgres, ENDS.sqlite)
    }

    /// The parameter of that number, counted from 1.
    fn parameter(self, number: usize) -> String {
        format!("{}{number}", self.of('$', '?'))
    }

    /// The tasks themselves, where those are walked along.
    const fn tasks(self, walk: Walk) -> &'static str {
        let by_index = match walk {
            Walk::Creator => "task t INDEXED BY task_by_creator",
            _ => "task t INDEXED BY task_by_group",
        };
        self.of("task t", by_index)
    }

    /// The task is of this group. On PostgreSQL as a range, not as an equality: then no other index is in the
    /// order that is asked for, and the planner can't choose one that leads through the tasks of everybody.
    fn of_group(self, walk: Walk, group: &str) -> String {
        match (self, walk) {
            (Self::Postgres, Walk::Group) => format!("t.group_id >= {group} AND t.group_id <= {group}"),
            _ => format!("t.group_id = {group}"),
        }
    }

    /// The task is of this creator, where that is walked along.
    fn of_creator(self, group: &str, creator: &str) -> String {
        match self {
            Self::Postgres => format!(
                "(t.group_id, t.creator_id) >= ({group}, {creator})
             AND (t.group_id, t.creator_id) <= ({group}, {creator})"
            ),
            Self::Sqlite => format!("t.creator_id = {creator}"),
        }
    }

    /// The value is one of a list, which is one parameter.
    fn among(self, value: &str, list: &str) -> String {
        match self {
            Self::Postgres => format!("{value} = ANY({list})"),
            Self::Sqlite => format!("{value} IN (SELECT value FROM json_each({list}))"),
        }
    }

    /// The tag set has all of the tags, which are one parameter.
    fn has_tags(self, tags: &str) -> String {
        match self {
            Self::Postgres => format!("tag_set.tags @> {tags}"),
            Self::Sqlite => format!(
                "NOT EXISTS (SELECT value FROM json_each({tags}) EXCEPT SELECT value FROM json_each(tag_set.tags))"
            ),
        }
    }

    /// The task is older than another one.
    fn before(self, walk: Walk, group: &str, creator: &str, task: &str) -> String {
        match (self, walk) {
            (Self::Postgres, Walk::Group) => format!("(t.group_id, t.id) < ({group}, {task})"),
            (Self::Postgres, Walk::Creator) => {
                format!("(t.group_id, t.creator_id, t.id) < ({group}, {creator}, {task})")
            }
            _ => format!("{} < {task}", walk.id()),
        }
    }

    /// Newest first, as the index has it.
    const fn newest_first(self, walk: Walk) -> &'static str {
        match walk {
            Walk::Group => self.of("t.group_id DESC, t.id DESC", "t.id DESC"),
            Walk::Creator => self.of("t.group_id DESC, t.creator_id DESC, t.id DESC", "t.id DESC"),
            Walk::Label | Walk::Reporter | Walk::Live | Walk::Unusual => "walk.task_id DESC",
        }
    }
}

/// A value in a query.
#[derive(Debug, Clone)]
pub(crate) enum Parameter {
    Small(i32),
    Number(i64),
    Text(String),
    Texts(Vec<String>),
    Uuid(Uuid),
    Tags(Words),
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

    /// It is up to the value.
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
struct Cut {
    limit: String,
    offset: String,
    /// From the newest to the end of the page.
    enough: String,
}

/// A query as SQL.
pub(crate) struct Matches {
    walk: Walk,
    only_labels: bool,
    group: String,
    /// The number of the one creator, where that is walked along.
    creator: String,
    /// What is walked along. No task is in two of them.
    from: Vec<String>,
    conditions: Vec<String>,
    pub(crate) parameters: Vec<Parameter>,
    dialect: Dialect,
}

impl Matches {
    /// All that match along a walk; `None` when no task can match.
    pub(crate) fn of(dialect: Dialect, walk: Walk, query: &TaskQuery) -> Option<Self> {
        Self::along(dialect, walk, query, false)
    }

    /// The matches that a selection picks.
    pub(crate) fn selected(dialect: Dialect, walk: Walk, selection: &Selection) -> Option<Self> {
        let mut matches = Self::along(dialect, walk, &selection.query, true)?;
        if let Some(over) = selection.over {
            matches.and(over_condition(over));
        }
        if selection.latest {
            matches.and(NOT_REPEATED);
        }
        Some(matches)
    }

    /// Where labels are all that is asked for, the task itself is only looked at if it must be `joined`.
    fn along(dialect: Dialect, walk: Walk, query: &TaskQuery, joined: bool) -> Option<Self> {
        let mut matches = Self {
            walk,
            only_labels: walk == Walk::Label && !joined && only_labels(query),
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

    /// Only ids from here on, or only those before, as the operator says.
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
        let cut = Cut {
            limit: self.bind(rows(page.limit)),
            offset: self.bind(rows(page.offset)),
            enough: self.bind(rows(page.offset.saturating_add(page.limit))),
        };
        self.select(Some(&cut))
    }

    /// How many there are; stops at the limit.
    pub(crate) fn select_count(&mut self, most: u64) -> String {
        let limit = self.bind(rows(most));
        let conditions = self.conditions.join(" AND ");
        let walks: Vec<String> =
            self.from.iter().map(|from| format!("SELECT 1 FROM {from} WHERE {conditions}")).collect();
        format!("SELECT count(*) FROM ({} LIMIT {limit}) AS m", walks.join(" UNION ALL "))
    }

    /// Each walk stops where the page can't reach any more, and they are merged.
    fn select(&self, cut: Option<&Cut>) -> String {
        let (id, order) = (self.walk.id(), self.dialect.newest_first(self.walk));
        let conditions = self.conditions.join(" AND ");
        let (limit, enough) = cut.map_or_else(Default::default, |Cut { limit, offset, enough }| {
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

    /// False when no state is asked for that a task can be in.
    fn walk_and_test_states(&mut self, states: Option<&[TaskState]>) -> bool {
        let joined =
            |table: &str| format!("{table} walk {} task t ON t.id = walk.task_id", self.dialect.join());
        let selected = |sql: &str| joined(&format!("({sql})"));
        self.from = match self.walk {
            // Nothing of the task itself is needed.
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

    /// The first label is walked along, the others are looked up for each task.
    fn test_labels(&mut self, labels: &Words) {
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

    /// Tags are a property of the lane: the few lanes that qualify are found once.
    fn test_tags(&mut self, tags: &Words) {
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

    /// A task without the number compares as NULL, which no condition accepts.
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

/// Where the tasks in these states are.
fn live_tables(states: &[TaskState]) -> impl Iterator<Item = &'static str> {
    let tables = [
        (TaskState::Pending, "SELECT task_id FROM pending"),
        (TaskState::Ready, "SELECT task_id FROM ready"),
        (TaskState::Running, "SELECT task_id FROM lease WHERE reported_end IS NULL"),
    ];
    tables.into_iter().filter(|(state, _)| states.contains(state)).map(|(_, sql)| sql)
}
