//! `mito client tasks query`.

use mitosis_client::UserClient;
use mitosis_domain::limits::MAX_ROWS;
use mitosis_protocol::task::{QueryTasksRequest, TaskInfo};
use mitosis_sweep::retry_transient;

use super::legacy_filter;
use crate::cli::client::tasks::QueryArgs;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{Output, TaskShown};

pub(super) async fn query(args: &QueryArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let (user, mut query) = (&identity.client, args.query());
    query.filter = legacy_filter::fitting(query.filter, user).await?;
    if query.count {
        let reply = user.query_tasks(&query).await?;
        if reply.count_is_bounded {
            note!("at least this many tasks; the coordinator stopped counting");
        }
        return out.count(reply.count, "task");
    }
    let mut pages = Pages { user, next: Some(query.clone()), left: query.limit, previous: None };
    let mut page = pages.turn().await?;
    out.found(pages.count(&query, &page).await?, "task")?;
    // The details of tasks are buffered; people request few.
    if args.verbose && !out.is_for_programs() {
        let mut tasks = Vec::new();
        while !page.is_empty() {
            tasks.extend(page.into_iter().map(TaskShown::from));
            page = pages.turn().await?;
        }
        return out.each(&tasks);
    }
    let mut rows = out.rows();
    while !page.is_empty() {
        page.into_iter().map(TaskShown::from).try_for_each(|task| rows.push(&task))?;
        page = pages.turn().await?;
    }
    rows.finish()
}

/// Requests all matches page by page.
struct Pages<'a> {
    user: &'a UserClient,
    next: Option<QueryTasksRequest>,
    /// The number of remaining results; none without a limit.
    left: Option<u64>,
    /// The first task of the previous page.
    previous: Option<TaskInfo>,
}

impl Pages<'_> {
    /// The next page; empty after the last.
    async fn turn(&mut self) -> Result<Vec<TaskInfo>, Failure> {
        let Some(query) = self.next.take() else { return Ok(Vec::new()) };
        let reply = retry_transient(|| self.user.query_tasks(&query)).await?;
        let (page, ended_early) = (reply.tasks, reply.next.is_some());
        // An old coordinator returns everything at once, and the same again for the next page.
        if page.first() == self.previous.as_ref() {
            return Ok(Vec::new());
        }
        self.previous = page.first().cloned();
        self.left = self.left.map(|left| left.saturating_sub(page.len() as u64));
        if let Some(last) = page.last()
            && (ended_early || page.len() as u64 == MAX_ROWS)
            && self.left != Some(0)
        {
            self.next =
                Some(QueryTasksRequest { before: Some(last.uuid), offset: None, limit: self.left, ..query });
        }
        Ok(page)
    }

    /// The total number, once the first page has arrived.
    async fn count(&self, query: &QueryTasksRequest, first: &[TaskInfo]) -> Result<u64, Failure> {
        if self.next.is_none() {
            return Ok(first.len() as u64);
        }
        let all = self.user.query_tasks(&QueryTasksRequest { count: true, ..query.clone() }).await?.count;
        let from_there = all.saturating_sub(query.offset.unwrap_or(0));
        Ok(query.limit.map_or(from_there, |limit| limit.min(from_there)))
    }
}
