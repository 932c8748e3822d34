//! Resolves selectors and filters to tasks.

use futures_util::future::try_join_all;
use mitosis_client::{ClientError, UserClient};
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::filter::Filter;
use mitosis_domain::selector::TaskSelector;
use mitosis_protocol::Uuid;
use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::task::{QueryTasksReply, QueryTasksRequest, TaskFilter};

use crate::cli::select::SelectArgs;
use crate::login::reconnect::Reconnect;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// Tasks on one page.
const PAGE: u64 = 1_000;

/// The number of names that are resolved at once.
const CONCURRENCY: usize = 16;
const RETRY_HINT: &str = "the tasks continue; try again later";

/// Resolves one selector.
pub(super) async fn one(name: &str, client: &UserClient) -> Result<Uuid, Failure> {
    Ok(resolve(name, client).await?)
}

/// Resolves selectors, in their order.
pub(super) async fn each(names: &[String], client: &UserClient) -> Result<Vec<Uuid>, Failure> {
    let selection = TaskSelection { names: names.to_vec(), filter: None, group: None, picks: true };
    selection.named(client).await
}

/// A selection of tasks by selectors and by a filter.
#[derive(Debug)]
pub(super) struct TaskSelection {
    /// Selectors of one task each.
    pub(super) names: Vec<String>,
    /// The filter for other tasks, if there is one.
    pub(super) filter: Option<TaskFilter>,
    /// The group in the conditions, if they have one.
    pub(super) group: Option<String>,
    /// Whether the selection has more than a group.
    pub(super) picks: bool,
}

impl TaskSelection {
    /// A selection of one known task.
    pub(super) fn one(uuid: Uuid) -> Self {
        Self::each(&[uuid])
    }

    /// A selection of known tasks.
    pub(super) fn each(uuids: &[Uuid]) -> Self {
        let names = uuids.iter().map(ToString::to_string).collect();
        Self { names, filter: None, group: None, picks: true }
    }

    /// Parses selectors and conditions, before any request.
    pub(super) fn read(words: &[String]) -> Result<Self, Failure> {
        let (conditions, names) = split_conditions(words);
        let group = check(&conditions)?.group;
        let filter = (!conditions.is_empty())
            .then(|| TaskFilter { filter: Some(conditions.join(" ")), ..TaskFilter::default() });
        Ok(Self { names, filter, group, picks: true })
    }

    /// Like [`Self::read`], with the options of a filter. Without names, it selects all tasks of a group.
    pub(super) fn of(words: &[String], args: &SelectArgs) -> Result<Self, Failure> {
        let (conditions, names) = split_conditions(words);
        let asked = check(&conditions)?;
        let about_more = Filter { group: None, ..asked.clone() } != Filter::default();
        let described = !conditions.is_empty() || args.filter.pick();
        Ok(Self {
            picks: !names.is_empty() || about_more || args.filter.pick(),
            filter: (described || names.is_empty()).then(|| args.filter.filter(&conditions)),
            names,
            group: asked.group,
        })
    }

    /// Resolves the named tasks in their order; waits for an unreachable coordinator.
    pub(super) async fn named(&self, client: &UserClient) -> Result<Vec<Uuid>, Failure> {
        self.each_named(&mut Reconnect::new(), async |name| resolve(name, client).await).await
    }

    /// The present states of all selected tasks; waits for an unreachable coordinator.
    pub(super) async fn find(
        &self,
        client: &UserClient,
        reconnect: &mut Reconnect,
    ) -> Result<Vec<TaskEvent>, Failure> {
        let find = async |name: &String| client.task(resolve(name, client).await?).await;
        let named = self.each_named(reconnect, find).await?;
        let mut found: Vec<TaskEvent> = named.into_iter().map(|task| task.info.into()).collect();
        if let Some(filter) = &self.filter {
            let mut before = None;
            loop {
                let reply = reconnect.retry(async || page(client, filter, before).await, RETRY_HINT).await?;
                let page = reply.tasks;
                before = page.last().map(|task| task.uuid);
                let full = page.len() as u64 == PAGE || reply.next.is_some();
                found.extend(page.into_iter().map(TaskEvent::from));
                if !full {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Applies `ask` to each name, several at once.
    async fn each_named<T>(
        &self,
        reconnect: &mut Reconnect,
        ask: impl AsyncFn(&String) -> Result<T, ClientError>,
    ) -> Result<Vec<T>, Failure> {
        let mut answers = Vec::new();
        for some in self.names.chunks(CONCURRENCY) {
            answers.extend(
                reconnect
                    .retry(async || try_join_all(some.iter().map(|name| ask(name))).await, RETRY_HINT)
                    .await?,
            );
        }
        Ok(answers)
    }
}

/// Separates conditions and names.
fn split_conditions(words: &[String]) -> (Vec<String>, Vec<String>) {
    let (conditions, names): (Vec<_>, Vec<_>) =
        words.iter().cloned().partition(|word| Filter::is_condition(word));
    (conditions, names.iter().flat_map(|names| names.split(',')).map(str::to_owned).collect())
}

/// Resolves a selector, with an error that can be retried.
pub(super) async fn resolve(name: &str, client: &UserClient) -> Result<Uuid, ClientError> {
    match name.parse() {
        Ok(TaskSelector::Uuid(uuid)) => Ok(uuid),
        // The coordinator reports an invalid selector.
        _ => Ok(client.find_task(name).await?.uuid),
    }
}

async fn page(
    client: &UserClient,
    filter: &TaskFilter,
    before: Option<Uuid>,
) -> Result<QueryTasksReply, ClientError> {
    let filter = filter.clone();
    let query = QueryTasksRequest { filter, limit: Some(PAGE), before, ..QueryTasksRequest::default() };
    client.query_tasks(&query).await
}

/// Checks the conditions of a filter.
fn check(conditions: &[String]) -> Result<Filter, Failure> {
    Filter::parse(&conditions.join(" "), SystemClock.now()).map_err(|error| {
        let hint = error.hint();
        Failure::new(Exit::Usage, error).with_hint(hint)
    })
}
