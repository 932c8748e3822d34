//! From the names that people give tasks to the tasks.

use mitosis_client::UserClient;
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::filter::Filter;
use mitosis_domain::selector::{InvalidSelector, Selector};
use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::task::{QueryTasksRequest, TaskFilter};
use mitosis_protocol::{TaskInfo, Uuid};

use crate::exit::Exit;
use crate::failure::Failure;

/// Matches on one page.
const PAGE: u64 = 1_000;

/// The one task of that name.
pub(super) async fn one(name: &str, client: &UserClient) -> Result<Uuid, Failure> {
    match selector(name)? {
        Selector::Uuid(uuid) => Ok(uuid),
        _ => Ok(client.find_task(name).await?.uuid),
    }
}

/// Tasks by name, and tasks by what is true of them.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Each names one.
    pub(super) names: Vec<String>,
    /// Conditions, joined.
    pub(super) filter: Option<String>,
    /// The group that the conditions are about, where they name one.
    pub(super) group: Option<String>,
}

impl Wanted {
    /// One that is known.
    pub(super) fn one(uuid: Uuid) -> Self {
        Self { names: vec![uuid.to_string()], filter: None, group: None }
    }

    /// Tells conditions from names; nonsense is told before anybody is asked.
    pub(super) fn read(words: &[String]) -> Result<Self, Failure> {
        let (conditions, names): (Vec<String>, Vec<String>) =
            words.iter().cloned().partition(|word| Filter::is_condition(word));
        for name in &names {
            selector(name)?;
        }
        let text = conditions.join(" ");
        let filter = check(&text)?;
        Ok(Self { names, filter: (!text.is_empty()).then_some(text), group: filter.group })
    }

    /// Where each of them stands now.
    pub(super) async fn find(&self, client: &UserClient) -> Result<Vec<TaskEvent>, Failure> {
        let mut found = Vec::new();
        for name in &self.names {
            let uuid = one(name, client).await?;
            found.push(standing(client.task(uuid).await?.info));
        }
        if let Some(filter) = &self.filter {
            let mut before = None;
            loop {
                let page = page(client, filter, before).await?;
                before = page.last().map(|task| task.uuid);
                let full = page.len() as u64 == PAGE;
                found.extend(page.into_iter().map(standing));
                if !full {
                    break;
                }
            }
        }
        Ok(found)
    }
}

async fn page(client: &UserClient, filter: &str, before: Option<Uuid>) -> Result<Vec<TaskInfo>, Failure> {
    let filter = TaskFilter { filter: Some(filter.to_owned()), ..TaskFilter::default() };
    let query = QueryTasksRequest { filter, limit: Some(PAGE), before, ..QueryTasksRequest::default() };
    Ok(client.query_tasks(&query).await?.tasks)
}

/// A task as the stream of events would tell it.
pub(super) fn standing(info: TaskInfo) -> TaskEvent {
    TaskEvent {
        uuid: info.uuid,
        group_name: info.group_name,
        task_id: info.task_id,
        state: info.state,
        result: info.result,
        at: info.updated_at,
    }
}

fn selector(name: &str) -> Result<Selector, Failure> {
    let invalid = |error: InvalidSelector| Failure::new(Exit::Usage, error).with_hint(InvalidSelector::HINT);
    name.parse().map_err(invalid)
}

/// Reads a filter for its mistakes.
fn check(text: &str) -> Result<Filter, Failure> {
    Filter::parse(text, SystemClock.now()).map_err(|error| {
        let hint = error.hint();
        Failure::new(Exit::Usage, error).with_hint(hint)
    })
}
