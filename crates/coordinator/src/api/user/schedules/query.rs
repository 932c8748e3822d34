//! `POST /v1/schedules/query`: lists schedules.

use axum::Json;
use axum::extract::State;
use mitosis_domain::ids::ScheduleId;
use mitosis_domain::permission::Action;
use mitosis_protocol::schedule::{MAX_PAGE, SchedulesReply, SchedulesRequest};
use mitosis_store::ops::schedules::ScheduleQuery;

use super::find::info;
use crate::api::body::Body;
use crate::api::members;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/schedules/query", Access::Read, query, "List schedules")
}

/// Replies with one page of schedules of the groups of the caller, by number.
async fn query(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<SchedulesRequest>,
) -> Result<Json<SchedulesReply>, ApiError> {
    let groups = match &request.group {
        Some(group) => vec![members::require(&app, &user, group, Action::View).await?],
        None => app.store.group_ids_of(user.id).await?,
    };
    let limit = request.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let query = ScheduleQuery {
        groups,
        creator: request.creator,
        name: request.name,
        after: request.after.map(ScheduleId),
        limit,
    };
    let _permit = app.query_limiter.acquire(user.id).await?;
    let found = app.store.schedules(&query).await?;
    let next = found.last().filter(|_| found.len() as u64 == limit).map(|last| last.id.0);
    Ok(Json(SchedulesReply { schedules: found.into_iter().map(info).collect(), next }))
}
