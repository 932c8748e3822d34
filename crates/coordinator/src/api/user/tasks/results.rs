//! `POST /v1/tasks/results`: the results of the tasks of a group, in compact rows.

use axum::Json;
use axum::extract::State;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_protocol::sweep::{ResultsReply, ResultsRequest};
use mitosis_store::ops::query::Page;
use mitosis_store::ops::sweeps::{EndedTasks, Selection};

use super::{filter, find, view};
use crate::api::body::Body;
use crate::api::members::require_for_filter;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/tasks/results", Access::Read, results, "List the results of tasks, newest first")
}

/// Replies with one page, newest first, to members of the group. All pages cost the same.
async fn results(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<ResultsRequest>,
) -> Result<Json<ResultsReply>, ApiError> {
    let group_name = filter::group_name(&app, &user, &request.filter)?;
    let group = require_for_filter(&app, &user, &group_name, Action::View).await?;
    let before = match request.before {
        Some(uuid) => Some(find(&app, &user, uuid, Action::View).await?.id),
        None => None,
    };
    let selection = Selection {
        query: filter::query(&app, request.filter, group, None)?,
        ended: request.failed.then_some(EndedTasks::Failed),
        latest: !request.all,
    };
    let limit = request.limit.unwrap_or(limits::MAX_ROWS).min(limits::MAX_ROWS);
    let _permit = app.query_limiter.acquire(user.id).await?;
    let page = Page { before, offset: 0, limit };
    let found = app.store.outcomes(&selection, page, limits::MAX_PAGE_BYTES).await?;
    let more = !found.is_complete || found.outcomes.len() as u64 == limit;
    let next = found.outcomes.last().filter(|_| more).map(|row| row.uuid);
    let results = found.outcomes.into_iter().map(view::outcome).collect();
    Ok(Json(ResultsReply { results, group_name, next }))
}
