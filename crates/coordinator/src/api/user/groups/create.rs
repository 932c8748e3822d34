//! `POST /groups`: creates a group with the caller as Admin.

use axum::extract::State;
use mitosis_domain::name::Name;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::group::CreateGroupRequest;
use mitosis_store::ops::groups::GroupCreation;

use crate::api::body::Body;
use crate::api::openapi::Op;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().post("/groups", Access::Write, create, Op::new("Create a group").or(409))
}

/// Replies 400 for an invalid name, 409 for a taken one, and 403 if the caller has reached the group quota.
async fn create(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<CreateGroupRequest>,
) -> Result<Empty, ApiError> {
    let name = Name::new(request.group_name).map_err(Rejection::bad_name)?;
    match app.store.create_group(user.id, &name, app.now()).await? {
        GroupCreation::Created(_) => Ok(Empty),
        GroupCreation::NameTaken => Err(Rejection::new(
            ErrorCode::NameTaken,
            format!("the name `{name}` is already taken by a user or group"),
        )
        .into()),
        GroupCreation::QuotaReached => {
            Err(Rejection::new(ErrorCode::QuotaExceeded, "you have reached your group quota")
                .hint("ask an administrator to raise it")
                .into())
        }
    }
}
