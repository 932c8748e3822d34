//! `POST /groups`: a new group, with the caller as Admin.

use axum::extract::State;
use mitosis_domain::name::Name;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::group::CreateGroupRequest;
use mitosis_store::ops::groups::GroupCreation;

use crate::api::body::Body;
use crate::api::openapi::Op;
use crate::api::reply::Empty;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new().post("/groups", Asks::Change, create, Op::new("Make a group").or(409))
}

/// 400 for a bad name, 409 for a taken one, 403 when the caller has made as many as allowed.
async fn create(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<CreateGroupRequest>,
) -> Result<Empty, ApiError> {
    let name = Name::new(request.group_name).map_err(Refusal::bad_name)?;
    match app.store.create_group(user.id, &name, app.now()).await? {
        GroupCreation::Created(_) => Ok(Empty),
        GroupCreation::NameTaken => {
            Err(Refusal::new(ErrorCode::NameTaken, format!("a user or group is called `{name}`")).into())
        }
        GroupCreation::QuotaReached => {
            Err(Refusal::new(ErrorCode::QuotaExceeded, "you have made as many groups as you may")
                .hint("an administrator can raise your group quota")
                .into())
        }
    }
}
