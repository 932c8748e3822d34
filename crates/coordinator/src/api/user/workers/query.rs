//! `POST /workers/query`: lists the workers of a group.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use mitosis_domain::account::{Membership, User};
use mitosis_domain::ids::WorkerId;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_protocol::worker::{QueryWorkersReply, QueryWorkersRequest, WorkerFilter};
use mitosis_store::ops::query::{WorkerPage, WorkerQuery};

use super::get::info;
use crate::api::body::Body;
use crate::api::members::{not_in, permit};
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::submission::words;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().post("/workers/query", Access::Read, query, "List the workers of a group")
}

/// With `count`, replies with the number of matches and no rows; otherwise with a page of them, oldest first.
async fn query(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<QueryWorkersRequest>,
) -> Result<Json<QueryWorkersReply>, ApiError> {
    let (query, group_name) = checked(&app, &user, request.filter, Action::View).await?;
    let _permit = app.query_limiter.acquire(user.id).await?;
    if request.count {
        let count = app.store.count_workers(&query).await?;
        return Ok(Json(QueryWorkersReply { count, workers: Vec::new(), group_name, next: None }));
    }
    let page = WorkerPage {
        after: request.after.map(WorkerId),
        limit: request.limit.unwrap_or(limits::MAX_ROWS).min(limits::MAX_ROWS),
        bytes: limits::MAX_PAGE_BYTES,
    };
    let found = app.store.query_workers(&query, page).await?;
    let next = found.workers.last().filter(|_| !found.is_complete).map(|worker| worker.id.0);
    let own = app.store.group_ids_of(user.id).await?;
    let workers: Vec<_> = found.workers.into_iter().map(|worker| info(worker, &own, app.now())).collect();
    Ok(Json(QueryWorkersReply { count: workers.len() as u64, workers, group_name, next }))
}

/// Converts the filter of a request. Replies 403 for both unknown and foreign groups.
pub(super) async fn checked(
    app: &App,
    user: &User,
    filter: WorkerFilter,
    action: Action,
) -> Result<(WorkerQuery, String), ApiError> {
    let group_name = filter.group_name.unwrap_or_else(|| user.name.clone());
    let membership = app.store.membership(user.id, &group_name).await?;
    if membership == Membership::NoSuchGroup {
        return Err(not_in(&group_name, StatusCode::FORBIDDEN).into());
    }
    let query = WorkerQuery {
        group: permit(membership, &group_name, action)?,
        roles: filter.role,
        tags: words(filter.tags.unwrap_or_default())?,
        labels: words(filter.labels.unwrap_or_default())?,
        creator: filter.creator_username,
    };
    Ok((query, group_name))
}
