//! `POST /login`: a token for a name and a password.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use http::request::Parts;
use mitosis_domain::name::{MAX_NAME_BYTES, Name};
use mitosis_protocol::ErrorCode;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::audit::actions;
use mitosis_protocol::auth::{LoginRequest, TokenReply};
use mitosis_store::ops::accounts::SessionChange;
use tracing::Instrument as _;

use crate::api::body::Body;
use crate::api::forwarded::Forwarded;
use crate::api::openapi::Op;
use crate::api::openapi::signature::Argument;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::{KnownDevice, not_active};
use crate::auth::default_password;
use crate::auth::throttle::Attempt;
use crate::error::{ApiError, Refusal};

/// Bytes of a login: a name, sixteen numbers, and air.
pub(super) const MAX_BODY: usize = 16 * 1024;

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/login",
        Asks::Nothing,
        login,
        Op::new("A token for a name and a password").or(401).or(403).or(429),
    )
}

/// 401 for an unknown user as for a wrong password, after the same work; 429 after many of them; 403 for an account that is
/// not active, but only to whoever knows its password.
async fn login(
    State(app): State<App>,
    Forwarded { client, .. }: Forwarded,
    FromHere(is_from_here): FromHere,
    device: KnownDevice,
    Body(request): Body<LoginRequest>,
) -> Result<Json<TokenReply>, ApiError> {
    if request.username.len() > MAX_NAME_BYTES {
        let msg = format!("a user name has at most {MAX_NAME_BYTES} bytes");
        return Err(Refusal::invalid(msg).hint("check the name").into());
    }
    let attempt = device.attempt(&request.username, client);
    app.throttle.attempt(&attempt, app.now()).map_err(too_many)?;
    to_the_end(decide(app, request, attempt, client, is_from_here)).await
}

/// Runs something to its end even if the caller hangs up: what was tried is written down.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    match mitosis_background::spawn("login", work.in_current_span()).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Refusal::new(ErrorCode::Unavailable, "the coordinator stops").into()),
        },
    }
}

async fn decide(
    app: App,
    request: LoginRequest,
    attempt: Attempt,
    client: IpAddr,
    is_from_here: bool,
) -> Result<Json<TokenReply>, ApiError> {
    let user = app.store.user(&request.username).await?;
    let stored = user.as_ref().map(|user| user.password_hash.as_str());
    let right = app.proves(&attempt, &request.md5_password, stored).await?;
    let Some(user) = user.filter(|_| right) else {
        app.record(shown(&request.username), actions::LOGIN_FAILED, "", Some(client)).await?;
        return Err(Refusal::new(
            ErrorCode::WrongCredentials,
            "user name and password do not belong together",
        )
        .hint("check both; an administrator can set a new password")
        .into());
    };
    if user.admin && default_password::is_default(&request.md5_password) {
        let user = &user.name;
        if !is_from_here {
            tracing::error!(user, peer = %client, "refused a remote login with the default password; change it");
            app.record(user, actions::LOGIN_FAILED, "", Some(client)).await?;
            return Err(default_password::refusal().into());
        }
        tracing::warn!(user, "an administrator logged in with the default password; change it");
    }
    if user.state != AccountState::Active {
        return Err(not_active().into());
    }
    let fresh = app.entropy.number();
    let change = match request.retain {
        true => SessionChange::Retain(fresh),
        false => SessionChange::Replace(fresh),
    };
    let now = app.now();
    let session = app.store.record_login(user.id, change, Some(client), now).await?;
    app.record(&user.name, actions::LOGGED_IN, "", Some(client)).await?;
    Ok(Json(TokenReply { token: app.tokens.for_user(&user.name, session, now) }))
}

/// Whether a request was sent on this machine.
pub(super) struct FromHere(bool);

impl Argument for FromHere {}

impl FromRequestParts<App> for FromHere {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let Forwarded { client, .. } = Forwarded::from_request_parts(parts, app).await?;
        Ok(Self(default_password::is_from_here(app, parts, client)))
    }
}

pub(crate) fn too_many(wait: Duration) -> Refusal {
    let seconds = wait.as_secs() + 1;
    Refusal::new(
        ErrorCode::TooManyRequests,
        "too many wrong passwords for this account from here, or from this address",
    )
    .hint(format!("wait {seconds} s and check the password; an administrator can set a new one"))
}

/// A name as far as it could be one: whatever was typed, perhaps a password, does not go into the log.
fn shown(username: &str) -> &str {
    if Name::new(username).is_ok() { username } else { "?" }
}
