//! `/v1/groups/{group}/limits`: the named limits of a group.

use axum::Json;
use axum::extract::State;
use mitosis_domain::name::Name;
use mitosis_domain::permission::Action;
use mitosis_protocol::limit::{LimitsReply, MAX_LIMIT, SetLimitRequest};
use mitosis_store::ops::Actor;
use mitosis_store::ops::limits::LimitRemoval;

use super::update_users::not_admin;
use crate::api::body::{Body, InPath};
use crate::api::members::require;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/v1/groups/{group}/limits", Access::Read, list, "List the named limits of a group")
        .put("/v1/groups/{group}/limits/{limit}", Access::Write, set, "Set a named limit of a group")
        .delete("/v1/groups/{group}/limits/{limit}", Access::Write, remove, "Remove a named limit of a group")
}

/// For members: each limit with what is in use, and by which jobs.
async fn list(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group): InPath<String>,
) -> Result<Json<LimitsReply>, ApiError> {
    let id = require(&app, &user, &group, Action::View).await?;
    Ok(Json(LimitsReply { limits: app.store.limits(id).await? }))
}

/// Needs Admin. After a smaller value, no task that uses the limit starts until those that run fit.
async fn set(
    State(app): State<App>,
    Caller(user): Caller,
    InPath((group, limit)): InPath<(String, String)>,
    Body(request): Body<SetLimitRequest>,
) -> Result<Empty, ApiError> {
    let id = require(&app, &user, &group, Action::ManageLimits).await?;
    let name = Name::new(limit).map_err(Rejection::bad_name)?;
    if request.value > MAX_LIMIT {
        return Err(Rejection::invalid(format!("the value of a limit is at most {MAX_LIMIT}"))
            .hint("remove the limit if nothing has to be limited")
            .into());
    }
    let actor = Actor::User(user.id);
    match app.publish(app.store.set_limit(actor, id, &name, request.value, app.now()).await?) {
        true => Ok(Empty),
        false => Err(not_admin().into()),
    }
}

/// Needs Admin. Replies 400 while jobs that use the limit have not ended.
async fn remove(
    State(app): State<App>,
    Caller(user): Caller,
    InPath((group, limit)): InPath<(String, String)>,
) -> Result<Empty, ApiError> {
    let id = require(&app, &user, &group, Action::ManageLimits).await?;
    match app.store.remove_limit(Actor::User(user.id), id, &limit, app.now()).await? {
        LimitRemoval::Removed => Ok(Empty),
        LimitRemoval::Unknown => Err(Rejection::no_such(ResourceKind::Limit, limit).into()),
        LimitRemoval::Denied => Err(not_admin().into()),
        LimitRemoval::InUse(jobs) => {
            let jobs: Vec<String> = jobs.iter().map(|job| job.0.to_string()).collect();
            let message = format!("jobs that have not ended use the limit `{limit}`: {}", jobs.join(", "));
            Err(Rejection::invalid(message)
                .hint("wait for them or cancel them; `mito limits set` changes the value at any time")
                .into())
        }
    }
}
