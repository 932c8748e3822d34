//! `/admin/users/{username}`: the state, the password and the quota of an account.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::admin::{
    AccountState, AccountStateBody, GroupQuotaReply, GroupQuotaRequest, ResetPasswordRequest,
};
use mitosis_protocol::audit::actions;

use mitosis_store::ops::Actor;
use mitosis_store::ops::accounts::TokenRevocation;

use super::done;
use crate::api::body::{Body, InPath};
use crate::api::forwarded::Forwarded;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::auth::passwords::non_empty;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .delete(
            "/admin/users/{username}",
            Access::Admin,
            delete,
            "Delete an account (the name stays reserved)",
        )
        .post("/admin/users/{username}/password", Access::Admin, password, "Set the password of a user")
        .post("/admin/users/{username}/state", Access::Admin, state, "Lock, delete or restore an account")
        .post(
            "/admin/users/{username}/group-quota",
            Access::Admin,
            group_quota,
            "Set the group quota of a user",
        )
}

/// `DELETE /admin/users/{username}`: deletes an account. The name stays reserved, and the account can be restored.
async fn delete(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    InPath(username): InPath<String>,
) -> Result<Json<AccountStateBody>, ApiError> {
    set(&app, (&admin, client), &username, AccountState::Deleted).await
}

/// `POST /admin/users/{username}/state`: sets the state. Any state but Active locks out the user and the workers of the
/// user.
async fn state(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    InPath(username): InPath<String>,
    Body(request): Body<AccountStateBody>,
) -> Result<Json<AccountStateBody>, ApiError> {
    set(&app, (&admin, client), &username, request.state).await
}

async fn set(
    app: &App,
    (admin, client): (&User, IpAddr),
    username: &str,
    state: AccountState,
) -> Result<Json<AccountStateBody>, ApiError> {
    if admin.name == username && state != AccountState::Active {
        return Err(Rejection::invalid("you can't lock or delete your own account")
            .hint("ask another administrator")
            .into());
    }
    let actor = Actor::Administrator(admin.id);
    let changed = app.publish(app.store.set_account_state(actor, username, state, app.now()).await?);
    done(changed, ResourceKind::User, username)?;
    let target = format!("{username}: {state:?}");
    app.record(&admin.name, actions::USER_STATE_SET, target, Some(client)).await?;
    Ok(Json(AccountStateBody { state }))
}

/// `POST /admin/users/{username}/password`: sets the password. Ends the sessions and workers of the user, and with
/// `revoke_tokens` the personal tokens.
async fn password(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    InPath(username): InPath<String>,
    Body(request): Body<ResetPasswordRequest>,
) -> Result<Empty, ApiError> {
    let user =
        app.store.user(&username).await?.ok_or_else(|| Rejection::no_such(ResourceKind::User, &username))?;
    let hash = app.passwords.hash(non_empty(&request.new_md5_password)?).await?;
    let (session, revoke_tokens) = (app.entropy.number(), request.revoke_tokens);
    let tokens = if revoke_tokens { TokenRevocation::Revoke } else { TokenRevocation::Keep };
    let actor = Actor::Administrator(admin.id);
    let ended = app.store.reset_password(actor, user.id, &hash, session, tokens, app.now()).await?;
    done(app.publish(ended), ResourceKind::User, &username)?;
    let target = if revoke_tokens { format!("{username}, tokens revoked") } else { username };
    app.record(&admin.name, actions::USER_PASSWORD_SET, target, Some(client)).await?;
    Ok(Empty)
}

/// `POST /admin/users/{username}/group-quota`: sets the number of groups that the user may create.
async fn group_quota(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    InPath(username): InPath<String>,
    Body(request): Body<GroupQuotaRequest>,
) -> Result<Json<GroupQuotaReply>, ApiError> {
    let change = QuotaChange::parse_count(&request.group_quota).map_err(|error| {
        Rejection::invalid(error).hint("use `5` to set the quota, `+5` or `-5` to change it")
    })?;
    let actor = Actor::Administrator(admin.id);
    let changed = app.store.change_group_quota(actor, &username, change, app.now()).await?;
    let group_quota = done(changed, ResourceKind::User, &username)?;
    let target = format!("{username}: {group_quota}");
    app.record(&admin.name, actions::GROUP_QUOTA_SET, target, Some(client)).await?;
    Ok(Json(GroupQuotaReply { group_quota }))
}
