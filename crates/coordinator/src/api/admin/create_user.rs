//! `POST /admin/users`: a new account with its personal group.

use axum::extract::State;
use mitosis_domain::name::Name;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::admin::CreateUserRequest;
use mitosis_protocol::audit::actions;
use mitosis_store::ops::By;
use mitosis_store::ops::accounts::{NewUser, UserCreation};

use crate::api::body::Body;
use crate::api::forwarded::Forwarded;
use crate::api::openapi::Op;
use crate::api::reply::Empty;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::{AdminCaller, not_an_administrator};
use crate::auth::passwords::settable;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new().post("/admin/users", Asks::Admin, create_user, Op::new("Make an account").or(409))
}

/// 400 for a bad name or an empty password, 409 for one that a user or group has.
async fn create_user(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    Body(request): Body<CreateUserRequest>,
) -> Result<Empty, ApiError> {
    let name = Name::new(request.username).map_err(Refusal::bad_name)?;
    let password_hash = app.passwords.hash(settable(&request.md5_password)?).await?;
    let new = NewUser { name, password_hash, admin: request.admin };
    match app.store.create_user(By::Administrator(admin.id), &new, app.now()).await? {
        UserCreation::Created(_) => {
            let kind = if new.admin { "administrator" } else { "user" };
            let target = format!("{} ({kind})", new.name);
            app.record(&admin.name, actions::USER_CREATED, target, Some(client)).await?;
            Ok(Empty)
        }
        UserCreation::Denied => Err(not_an_administrator().into()),
        UserCreation::NameTaken => {
            let text = format!("a user or group is called `{}`", new.name);
            Err(Refusal::new(ErrorCode::NameTaken, text).into())
        }
    }
}
