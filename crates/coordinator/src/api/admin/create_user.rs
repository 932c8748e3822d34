//! `POST /admin/users`: creates an account and its personal group.

use axum::extract::State;
use mitosis_domain::name::Name;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::admin::CreateUserRequest;
use mitosis_protocol::audit::actions;
use mitosis_store::ops::Actor;
use mitosis_store::ops::accounts::{NewUser, UserCreation};

use crate::api::body::Body;
use crate::api::forwarded::Forwarded;
use crate::api::openapi::Op;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::{AdminCaller, not_an_administrator};
use crate::auth::passwords::non_empty;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().post("/admin/users", Access::Admin, create_user, Op::new("Create an account").or(409))
}

/// Replies 400 for an invalid name or an empty password, and 409 for a name that a user or group has.
async fn create_user(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    Body(request): Body<CreateUserRequest>,
) -> Result<Empty, ApiError> {
    let name = Name::new(request.username).map_err(Rejection::bad_name)?;
    let password_hash = app.passwords.hash(non_empty(&request.md5_password)?).await?;
    let new = NewUser { name, password_hash, admin: request.admin };
    match app.store.create_user(Actor::Administrator(admin.id), &new, app.now()).await? {
        UserCreation::Created(_) => {
            let kind = if new.admin { "administrator" } else { "user" };
            let target = format!("{} ({kind})", new.name);
            app.record(&admin.name, actions::USER_CREATED, target, Some(client)).await?;
            Ok(Empty)
        }
        UserCreation::Denied => Err(not_an_administrator().into()),
        UserCreation::NameTaken => {
            let text = format!("a user or group is called `{}`", new.name);
            Err(Rejection::new(ErrorCode::NameTaken, text).into())
        }
    }
}
