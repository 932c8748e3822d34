//! `POST /login`: a token for a name and a password.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::name::Name;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::audit::actions;
use mitosis_protocol::auth::{LoginRequest, TokenReply};
use mitosis_store::ops::accounts::SessionChange;

use crate::api::body::Body;
use crate::api::forwarded::Forwarded;
use crate::app::App;
use crate::auth::caller::not_active;
use crate::error::{ApiError, Refusal};

/// 401 for an unknown user as for a wrong password, after the same work; 429 after many of them; 403 for an account that is
/// not active, but only to whoever knows its password.
pub(super) async fn login(
    State(app): State<App>,
    Forwarded { client: peer, .. }: Forwarded,
    Body(request): Body<LoginRequest>,
) -> Result<Json<TokenReply>, ApiError> {
    app.throttle.attempt(&request.username, peer, app.now()).map_err(too_many)?;
    let user = app.store.user(&request.username).await?;
    let stored = user.as_ref().map(|user| user.password_hash.as_str());
    let right = app.passwords.verify(&request.md5_password, stored).await;
    let Some(user) = user.filter(|_| right) else {
        app.record(shown(&request.username), actions::LOGIN_FAILED, "", Some(peer)).await?;
        return Err(Refusal::new(
            ErrorCode::WrongCredentials,
            "user name and password do not belong together",
        )
        .hint("check both; an administrator can set a new password")
        .into());
    };
    app.throttle.succeeded(&user.name, peer);
    if user.state != AccountState::Active {
        return Err(not_active().into());
    }
    let fresh = app.entropy.number();
    let change = match request.retain {
        true => SessionChange::Retain(fresh),
        false => SessionChange::Replace(fresh),
    };
    let now = app.now();
    let session = app.store.record_login(user.id, change, Some(peer), now).await?;
    app.record(&user.name, actions::LOGGED_IN, "", Some(peer)).await?;
    Ok(Json(TokenReply { token: app.tokens.for_user(&user.name, session, now) }))
}

fn too_many(wait: Duration) -> Refusal {
    let seconds = wait.as_secs() + 1;
    Refusal::new(ErrorCode::TooManyRequests, "too many failed logins to this account, or from this address")
        .hint(format!("wait {seconds} s and check the password; an administrator can set a new one"))
}

/// A name as far as it could be one: whatever was typed, perhaps a password, does not go into the log.
fn shown(username: &str) -> &str {
    if Name::new(username).is_ok() { username } else { "?" }
}
