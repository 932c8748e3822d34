//! Lists of everything on the site: users, groups, workers, jobs, and use.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::ids::{GroupId, JobId, UserId, WorkerId};
use mitosis_domain::limits;
use mitosis_protocol::Timestamp;
use mitosis_protocol::admin::{
    GroupSummary, GroupsReply, SiteJobsReply, SiteWorker, SiteWorkersReply, UsageReply, UsageRow,
    UserSummary, UsersReply,
};
use mitosis_protocol::job::MAX_PAGE;
use mitosis_store::ops::query::WorkerPage;
use mitosis_store::ops::site::{AllJobs, ListedGroup, ListedUser};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::body::InQuery;
use crate::api::routes::{Access, Routes};
use crate::api::user::jobs::query::with_needs;
use crate::api::user::workers::get::info;
use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::error::{ApiError, Rejection};

/// The time that a report on use covers by default.
const USAGE_WINDOW: Duration = Duration::from_hours(30 * 24);
/// How long a report on use may take.
const USAGE_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/v1/admin/users", Access::Admin, users, "List all users")
        .get("/v1/admin/groups", Access::Admin, groups, "List all groups")
        .get("/v1/admin/workers", Access::Admin, workers, "List all workers")
        .get("/v1/admin/jobs", Access::Admin, jobs, "List the jobs of all groups, newest first")
        .get("/v1/admin/usage", Access::Admin, usage, "Sum up what users have used in groups")
}

/// Query parameters of a list, oldest first.
#[derive(Deserialize, ToSchema)]
struct PageAfter {
    /// Return entries after this position: `next` of the page before
    after: Option<i64>,
    /// Maximum number of entries
    limit: Option<u64>,
}

impl PageAfter {
    fn limit(&self) -> u64 {
        self.limit.unwrap_or(limits::MAX_ROWS).clamp(1, limits::MAX_ROWS)
    }
}

/// The position of the next page, if this one is full.
fn next<T>(found: &[T], limit: u64, position: impl FnOnce(&T) -> i64) -> Option<i64> {
    found.last().filter(|_| found.len() as u64 == limit).map(position)
}

/// Lists users, oldest first.
async fn users(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    InQuery(page): InQuery<PageAfter>,
) -> Result<Json<UsersReply>, ApiError> {
    let _permit = app.query_limiter.acquire(admin.id).await?;
    let found = app.store.all_users(page.after.map(UserId), page.limit()).await?;
    let next = next(&found, page.limit(), |last| last.user.id.0);
    Ok(Json(UsersReply { users: found.into_iter().map(user_summary).collect(), next }))
}

fn user_summary(listed: ListedUser) -> UserSummary {
    let ListedUser { user, last_login_at } = listed;
    UserSummary {
        username: user.name,
        admin: user.admin,
        state: user.state,
        group_quota: user.group_quota,
        group_count: user.group_count,
        created_at: user.created_at,
        last_login_at,
    }
}

/// Lists groups, oldest first.
async fn groups(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    InQuery(page): InQuery<PageAfter>,
) -> Result<Json<GroupsReply>, ApiError> {
    let _permit = app.query_limiter.acquire(admin.id).await?;
    let found = app.store.all_groups(page.after.map(GroupId), page.limit()).await?;
    let next = next(&found, page.limit(), |last| last.id.0);
    Ok(Json(GroupsReply { groups: found.into_iter().map(group_summary).collect(), next }))
}

fn group_summary(group: ListedGroup) -> GroupSummary {
    GroupSummary {
        group_name: group.name,
        creator_username: group.creator_name,
        state: group.state,
        members: group.members,
        tasks: group.tasks,
        storage_quota: group.storage_quota,
        storage_used: group.storage_used,
        weight: group.weight,
        created_at: group.created_at,
    }
}

/// Lists workers, oldest first, each with the oldest task that it holds.
async fn workers(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    InQuery(page): InQuery<PageAfter>,
) -> Result<Json<SiteWorkersReply>, ApiError> {
    let _permit = app.query_limiter.acquire(admin.id).await?;
    let (after, limit) = (page.after.map(WorkerId), page.limit());
    let found = app.store.all_workers(WorkerPage { after, limit, bytes: limits::MAX_PAGE_BYTES }).await?;
    let next = found.workers.last().filter(|_| !found.is_complete).map(|worker| worker.id.0);
    let now = app.now();
    let workers = found.workers.into_iter().map(|worker| {
        let (slots, held_tasks) = (worker.slots.unwrap_or(1), worker.held.len() as u64);
        let groups = worker.held_groups.clone();
        SiteWorker { worker: info(worker, &groups, now), slots, held_tasks }
    });
    Ok(Json(SiteWorkersReply { workers: workers.collect(), next }))
}

/// Query parameters of the list of jobs.
#[derive(Deserialize, ToSchema)]
struct JobsPage {
    /// Return jobs before this one: `next` of the page before
    before: Option<i64>,
    /// Maximum number of jobs
    limit: Option<u64>,
    /// Only jobs that have not ended
    #[serde(default)]
    active: bool,
    /// Only jobs of this user
    creator: Option<String>,
    /// Only jobs of this group
    group: Option<String>,
}

/// Lists jobs of all groups, newest first.
async fn jobs(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    InQuery(page): InQuery<JobsPage>,
) -> Result<Json<SiteJobsReply>, ApiError> {
    let _permit = app.query_limiter.acquire(admin.id).await?;
    let limit = page.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let JobsPage { active, creator, group, .. } = page;
    let query = AllJobs { creator, group, active, before: page.before.map(JobId), limit };
    let found = app.store.all_jobs(&query).await?;
    let jobs = with_needs(&app, &found).await?;
    let more = found.len() as u64 == limit || jobs.len() < found.len();
    let next = jobs.last().filter(|_| more).map(|last| last.job);
    Ok(Json(SiteJobsReply { jobs, next }))
}

/// Query parameters of a report on use.
#[derive(Deserialize, ToSchema)]
struct UsageWindow {
    /// The beginning of the time; 30 days before its end by default
    since: Option<String>,
    /// The end of the time; now by default
    until: Option<String>,
}

/// Sums up the attempts that ended in a time. Replies 400 if that takes too long.
async fn usage(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    InQuery(window): InQuery<UsageWindow>,
) -> Result<Json<UsageReply>, ApiError> {
    let time = |text: Option<String>| text.map(|text| Timestamp::parse(&text)).transpose();
    let given = time(window.until).map_err(Rejection::invalid)?;
    let until = given.unwrap_or_else(|| app.now());
    let since = time(window.since).map_err(Rejection::invalid)?;
    let since = since.unwrap_or_else(|| until.saturating_sub(USAGE_WINDOW));
    // What ends now, or by the clock of another coordinator a moment later, is part of it.
    let end = given.unwrap_or(Timestamp::from_unix_micros(i64::MAX));
    let _permit = app.query_limiter.acquire(admin.id).await?;
    let Some(found) = app.store.usage(since, end, USAGE_TIMEOUT).await? else {
        return Err(Rejection::invalid("too many tasks ended in this time to sum them up")
            .hint("choose a shorter time with `since` and `until`")
            .into());
    };
    let row = |one: mitosis_store::ops::site::Usage| UsageRow {
        username: one.user,
        group_name: one.group,
        counts: one.counts,
    };
    Ok(Json(UsageReply { since, until, usage: found.into_iter().map(row).collect() }))
}
