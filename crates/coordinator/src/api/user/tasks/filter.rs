//! From the filter of a request to a query of the store.

use mitosis_domain::account::User;
use mitosis_domain::comparison::Comparison;
use mitosis_domain::ids::GroupId;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_domain::tags::Words;
use mitosis_domain::task::Task;
use mitosis_protocol::task::TaskFilter;
use mitosis_protocol::{Role, Uuid};
use mitosis_store::ops::query::{Page, TaskQuery};

use super::submission::words;
use crate::api::members::role_for_filter;
use crate::app::App;
use crate::error::{ApiError, Refusal};

/// The newest matches of a filter, for a user who may do this in its group, with the user's role there;
/// 400 for outsiders.
pub(in crate::api::user) async fn matches(
    app: &App,
    user: &User,
    filter: TaskFilter,
    reporter: Option<Uuid>,
    action: Action,
) -> Result<(Vec<Task>, Role), ApiError> {
    let group_name = filter.group_name.clone().unwrap_or_else(|| user.name.clone());
    let (group, role) = role_for_filter(app, user, &group_name, action).await?;
    let query = query(filter, group, reporter)?;
    let page = Page { before: None, offset: 0, limit: limits::MAX_ROWS };
    Ok((app.store.query_tasks(&query, page).await?, role))
}

/// 400 for a condition that can't be read, and for an empty set, which could only match nothing.
pub(in crate::api::user) fn query(
    filter: TaskFilter,
    group: GroupId,
    reporter: Option<Uuid>,
) -> Result<TaskQuery, Refusal> {
    Ok(TaskQuery {
        group,
        creators: not_empty("creator_usernames", filter.creator_usernames)?,
        tags: all_of("tags", filter.tags)?,
        labels: all_of("labels", filter.labels)?,
        states: not_empty("states", filter.states)?,
        exit_status: comparison(filter.exit_status)?,
        priority: comparison(filter.priority)?,
        reporter,
    })
}

fn all_of(name: &str, set: Option<Vec<String>>) -> Result<Words, Refusal> {
    Ok(not_empty(name, set)?.map(words).transpose()?.unwrap_or_default())
}

fn not_empty<T>(name: &str, set: Option<Vec<T>>) -> Result<Option<Vec<T>>, Refusal> {
    match set {
        Some(set) if set.is_empty() => {
            Err(Refusal::invalid(format!("`{name}` is an empty set; leave it out to match everything")))
        }
        set => Ok(set),
    }
}

fn comparison(text: Option<String>) -> Result<Option<Comparison>, Refusal> {
    text.map(|text| text.parse().map_err(Refusal::invalid)).transpose()
}
