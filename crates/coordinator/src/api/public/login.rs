//! `POST /login`: a token for a name and a password.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use mitosis_protocol::ErrorCode;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::auth::{LoginRequest, TokenReply};
use mitosis_store::ops::accounts::SessionChange;

use crate::api::body::Body;
use crate::app::App;
use crate::auth::caller::not_active;
use crate::error::{ApiError, Refusal};

/// 401 for an unknown user as for a wrong password, after the same work; 403 for an account that is
/// not active, but only to whoever knows its password.
pub(super) async fn login(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Body(request): Body<LoginRequest>,
) -> Result<Json<TokenReply>, ApiError> {
    let user = app.store.user(&request.username).await?;
    let stored = user.as_ref().map(|user| user.password_hash.as_str());
    let right = app.passwords.verify(&request.md5_password, stored).await;
    let Some(user) = user.filter(|_| right) else {
        return Err(Refusal::new(
            ErrorCode::WrongCredentials,
            "user name and password do not belong together",
        )
        .hint("check both; an administrator can set a new password")
        .into());
    };
    if user.state != AccountState::Active {
        return Err(not_active().into());
    }
    let fresh = app.entropy.number();
    let change = match request.retain {
        true => SessionChange::Retain(fresh),
        false => SessionChange::Replace(fresh),
    };
    let now = app.now();
    let session = app.store.record_login(user.id, change, Some(peer.ip()), now).await?;
    Ok(Json(TokenReply { token: app.tokens.for_user(&user.name, session, now) }))
}
