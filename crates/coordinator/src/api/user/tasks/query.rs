//! `POST /tasks/query`: lists the tasks of a group, newest first.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_protocol::task::{QueryTasksReply, QueryTasksRequest};
use mitosis_store::ops::query::Page;

use super::{filter, find, view};
use crate::api::body::Body;
use crate::api::members::require_for_filter;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

/// How long to count. After that, the reply has the count so far.
const COUNTING: Duration = Duration::from_secs(1);

pub(super) fn routes() -> Routes {
    Routes::new().post("/tasks/query", Access::Read, query, "List matching tasks, newest first")
}

/// With `count`, replies with the number of matches and no rows. Counting stops at one million, and after a second.
async fn query(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<QueryTasksRequest>,
) -> Result<Json<QueryTasksReply>, ApiError> {
    let group_name = filter::group_name(&app, &user, &request.filter)?;
    let group = require_for_filter(&app, &user, &group_name, Action::View).await?;
    let query = filter::query(&app, request.filter, group, request.reporter_uuid)?;
    let _permit = app.query_limiter.acquire(user.id).await?;
    if request.count {
        let counted = app.store.count_tasks(&query, limits::MAX_COUNTED, COUNTING).await?;
        let (count, count_is_bounded) = (counted.at_least, !counted.is_complete);
        return Ok(Json(QueryTasksReply {
            count,
            count_is_bounded,
            next: None,
            tasks: Vec::new(),
            group_name,
        }));
    }
    let before = match request.before {
        Some(uuid) => Some(find(&app, &user, uuid, Action::View).await?.id),
        None => None,
    };
    let page = Page {
        before,
        offset: request.offset.unwrap_or(0),
        limit: request.limit.unwrap_or(limits::MAX_ROWS).min(limits::MAX_ROWS),
    };
    let found = app.store.page_of_tasks(&query, page, limits::MAX_PAGE_BYTES).await?;
    let next = found.tasks.last().filter(|_| !found.is_complete).map(|task| task.uuid);
    let tasks: Vec<_> = found.tasks.into_iter().map(view::info).collect();
    let count = tasks.len() as u64;
    Ok(Json(QueryTasksReply { count, count_is_bounded: false, next, tasks, group_name }))
}
