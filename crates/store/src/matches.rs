//! A query as SQL: where it walks, and what else must hold.
//!
//! A query walks one index from its newest end and tests the other conditions on the way, so a page
//! costs what it passes over and not what the table holds. What the two databases say alike is said here;
//! the rest is a [`Dialect`].

use std::marker::PhantomData;

use mitosis_domain::comparison::Comparison;
use mitosis_domain::filter::{Condition, Moment};
use mitosis_domain::ids::TaskId;
use mitosis_domain::tags::Words;
use mitosis_protocol::TaskState;
use uuid::Uuid;

use crate::code::{Code, row_count};
use crate::ops::query::{Page, TaskQuery};
use crate::ops::sweeps::Selection;
use crate::walk::{EXIT_CODE, FINISHED_AT, NOT_REPEATED, Walk, only_labels, over_condition};

/// What a database has its own words for. Alias `t` is the task, `walk` what is walked along.
pub(crate) trait Dialect {
    /// Joins the task to what is walked along, in that order.
    const JOIN: &str;
    /// The number of the state, from whichever table holds the task; see `code.rs`.
    const STATE_OF_TASK: &str;
    /// Ends that are unusual; see [`Walk::Unusual`].
    const UNUSUAL_ENDS: &str;
    /// What was reported to be cancelled, and has no result yet.
    const REPORTED_ENDS: &str;

    /// The parameter of that number, counted from 1.
    fn parameter(number: usize) -> String;
    /// The tasks themselves, where those are walked along.
    fn tasks(walk: Walk) -> &'static str;
    /// The task is of this group.
    fn of_group(walk: Walk, group: &str) -> String;
    /// The task is of this creator, where that is walked along.
    fn of_creator(group: &str, creator: &str) -> String;
    /// The value is one of a list, which is one parameter.
    fn among(value: &str, list: &str) -> String;
    /// The tag set has all of the tags, which are one parameter.
    fn has_tags(tags: &str) -> String;
    /// The task is older than another one.
    fn before(walk: Walk, group: &str, creator: &str, task: &str) -> String;
    /// Newest first, as the index has it.
    fn newest_first(walk: Walk) -> &'static str;
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

/// The parameters of a page.
struct Cut {
    limit: String,
    offset: String,
    /// From the newest to the end of the page.
    enough: String,
}

/// A query as SQL.
pub(crate) struct Matches<D> {
    walk: Walk,
    only_labels: bool,
    group: String,
    /// The number of the one creator, where that is walked along.
    creator: String,
    /// What is walked along. No task is in two of them.
    from: Vec<String>,
    conditions: Vec<String>,
    pub(crate) parameters: Vec<Parameter>,
    dialect: PhantomData<D>,
}

impl<D: Dialect> Matches<D> {
    /// All that match along a walk; `None` when no task can match.
    pub(crate) fn of(walk: Walk, query: &TaskQuery) -> Option<Self> {
        Self::along(walk, query, false)
    }

    /// The matches that a selection picks.
    pub(crate) fn selected(walk: Walk, selection: &Selection) -> Option<Self> {
        let mut matches = Self::along(walk, &selection.query, true)?;
        if let Some(over) = selection.over {
            matches.and(over_condition(over));
        }
        if selection.latest {
            matches.and(NOT_REPEATED);
        }
        Some(matches)
    }

    /// Where labels are all that is asked for, the task itself is only looked at if it must be `joined`.
    fn along(walk: Walk, query: &TaskQuery, joined: bool) -> Option<Self> {
        let mut matches = Self {
            walk,
            only_labels: walk == Walk::Label && !joined && only_labels(query),
            group: D::parameter(1),
            creator: String::new(),
            from: Vec::new(),
            conditions: Vec::new(),
            parameters: vec![Parameter::Number(query.group.0)],
            dialect: PhantomData,
        };
        if !matches.only_labels {
            matches.and(&D::of_group(walk, &matches.group));
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
            self.and(&D::before(self.walk, &self.group, &self.creator, &before));
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
        let (id, order) = (self.walk.id(), D::newest_first(self.walk));
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
        D::parameter(self.parameters.len())
    }

    fn and(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    /// False when no state is asked for that a task can be in.
    fn walk_and_test_states(&mut self, states: Option<&[TaskState]>) -> bool {
        let joined = |table: &str| format!("{table} walk {} task t ON t.id = walk.task_id", D::JOIN);
        let selected = |sql: &str| joined(&format!("({sql})"));
        self.from = match self.walk {
            // Nothing of the task itself is needed.
            Walk::Label if self.only_labels => vec!["task_label walk".to_owned()],
            Walk::Label => vec![joined("task_label")],
            Walk::Reporter => vec![joined("done")],
            Walk::Group | Walk::Creator => vec![D::tasks(self.walk).to_owned()],
            Walk::Unusual => [D::UNUSUAL_ENDS, D::REPORTED_ENDS].map(selected).to_vec(),
            Walk::Live => live_tables(states.unwrap_or_default()).map(selected).collect(),
        };
        let Some(states) = states else { return true };
        if self.walk != Walk::Live {
            let codes: Vec<_> = states.iter().map(|state| state.code().to_string()).collect();
            let state = self.walk.state().unwrap_or(D::STATE_OF_TASK);
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
                D::has_tags(&tags)
            ));
        }
    }

    fn test_creators(&mut self, names: Option<&[String]>) {
        match names {
            None => {}
            Some([name]) if self.walk == Walk::Creator => {
                let name = self.bind(Parameter::Text(name.clone()));
                self.creator = format!("(SELECT id FROM users WHERE username = {name})");
                self.and(&D::of_creator(&self.group, &self.creator));
            }
            Some(names) => {
                let names = self.bind(Parameter::Texts(names.to_vec()));
                let among = D::among("username", &names);
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
