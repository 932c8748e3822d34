//! Converts the filter of a request to a query of the store.

use mitosis_domain::account::User;
use mitosis_domain::comparison::Comparison;
use mitosis_domain::filter::Filter;
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_domain::tags::TagSet;
use mitosis_protocol::task::TaskFilter;
use mitosis_protocol::{Role, Timestamp, Uuid};
use mitosis_store::ops::query::{Page, TaskQuery};

use super::submission::words;
use crate::api::members::role_for_filter;
use crate::app::App;
use crate::error::{ApiError, Rejection};

/// The largest number of conditions that must be nested in the query of the database.
const MAX_CONDITIONS: usize = 100;
/// Bytes of tasks in memory at once while only their ids are collected.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The group that a filter selects: the one in the field, the one in the text, or the personal group of the user. 400 if
/// field and text differ.
pub(in crate::api::user) fn group_name(
    app: &App,
    user: &User,
    filter: &TaskFilter,
) -> Result<String, Rejection> {
    match (&filter.group_name, conditions(filter.filter.as_deref(), app.now())?.group) {
        (Some(field), Some(text)) if *field != text => Err(Rejection::invalid(format!(
            "the filter selects group `{text}`, but `group_name` is `{field}`"
        ))
        .hint("specify the group only once")),
        (Some(name), _) => Ok(name.clone()),
        (None, Some(name)) => Ok(name),
        (None, None) => Ok(user.name.clone()),
    }
}

fn conditions(text: Option<&str>, now: Timestamp) -> Result<Filter, Rejection> {
    Filter::parse(text.unwrap_or_default(), now)
        .map_err(|error| Rejection::invalid(&error).hint(error.hint()))
}

/// The intersection of two conditions. `None` is no condition.
fn both<T: PartialEq>(one: Option<Vec<T>>, other: Option<Vec<T>>) -> Option<Vec<T>> {
    match (one, other) {
        (Some(mut one), Some(other)) => {
            one.retain(|item| other.contains(item));
            Some(one)
        }
        (one, other) => one.or(other),
    }
}

/// The newest matches of a filter, and the role of the user in its group. Replies 400 to outsiders. Complete tasks are
/// only kept in memory for a moment, because commands can be large.
pub(in crate::api::user) async fn matches(
    app: &App,
    user: &User,
    filter: TaskFilter,
    reporter: Option<Uuid>,
    action: Action,
) -> Result<(Vec<(TaskId, Uuid)>, Role), ApiError> {
    let group_name = group_name(app, user, &filter)?;
    let (group, role) = role_for_filter(app, user, &group_name, action).await?;
    let query = query(app, filter, group, reporter)?;
    let mut page = Page { before: None, offset: 0, limit: limits::MAX_ROWS };
    let _permit = app.query_limiter.acquire(user.id).await?;
    let mut matches = Vec::new();
    loop {
        let found = app.store.page_of_tasks(&query, page, BATCH_BYTES).await?;
        matches.extend(found.tasks.iter().map(|task| (task.id, task.uuid)));
        page.before = matches.last().map(|(task, _)| *task);
        page.limit = limits::MAX_ROWS.saturating_sub(matches.len() as u64);
        if found.is_complete || page.limit == 0 {
            return Ok((matches, role));
        }
    }
}

/// Builds the query. Fails with 400 for an invalid condition, and for an empty set, which would match nothing.
pub(in crate::api::user) fn query(
    app: &App,
    filter: TaskFilter,
    group: GroupId,
    reporter: Option<Uuid>,
) -> Result<TaskQuery, Rejection> {
    let more = conditions(filter.filter.as_deref(), app.now())?;
    if more.also.len() > MAX_CONDITIONS {
        return Err(Rejection::invalid(format!("the filter has more than {MAX_CONDITIONS} conditions"))
            .hint("use several requests with fewer conditions"));
    }
    Ok(TaskQuery {
        group,
        creators: both(not_empty("creator_usernames", filter.creator_usernames)?, more.creators),
        tags: all_of("tags", filter.tags, more.tags)?,
        labels: all_of("labels", filter.labels, more.labels)?,
        states: both(not_empty("states", filter.states)?, more.states),
        exit_status: comparison(filter.exit_status)?,
        priority: comparison(filter.priority)?,
        reporter,
        also: more.also,
    })
}

fn all_of(name: &str, set: Option<Vec<String>>, more: Vec<String>) -> Result<TagSet, Rejection> {
    let mut all = not_empty(name, set)?.unwrap_or_default();
    all.extend(more);
    words(all)
}

fn not_empty<T>(name: &str, set: Option<Vec<T>>) -> Result<Option<Vec<T>>, Rejection> {
    match set {
        Some(set) if set.is_empty() => {
            Err(Rejection::invalid(format!("`{name}` is empty; omit it to match everything")))
        }
        set => Ok(set),
    }
}

fn comparison(text: Option<String>) -> Result<Option<Comparison>, Rejection> {
    text.map(|text| text.parse().map_err(Rejection::invalid)).transpose()
}
