//! `POST /login`: returns a token for a user name and a password.

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
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::{KnownDevice, not_active};
use crate::auth::default_password;
use crate::auth::throttle::Attempt;
use crate::error::{ApiError, Rejection};

/// The largest body of a login: a name, sixteen numbers, and some reserve.
pub(in crate::api) const MAX_BODY: usize = 16 * 1024;

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/login",
        Access::Public,
        login,
        Op::new("Log in and get a token").or(401).or(403).or(429),
    )
}

/// Replies 401 for both an unknown user and a wrong password, after the same work, and 429 after many failures. Replies 403
/// for an inactive account, but only if the password is right.
async fn login(
    State(app): State<App>,
    origin: LoginOrigin,
    Body(request): Body<LoginRequest>,
) -> Result<Json<TokenReply>, ApiError> {
    log_in(&app, request, origin).await.map(Json)
}

/// Checks the password and returns a token.
pub(in crate::api) async fn log_in(
    app: &App,
    request: LoginRequest,
    origin: LoginOrigin,
) -> Result<TokenReply, ApiError> {
    let LoginOrigin { client, is_local, device } = origin;
    if request.username.len() > MAX_NAME_BYTES {
        let msg = format!("a user name can have at most {MAX_NAME_BYTES} bytes");
        return Err(Rejection::invalid(msg).hint("check the name").into());
    }
    let attempt = device.attempt(&request.username, client);
    app.throttle.attempt(&attempt, app.now()).map_err(too_many)?;
    run_to_completion(decide(app.clone(), request, attempt, client, is_local)).await
}

/// Runs a login to its end even if the caller disconnects, so that every attempt is recorded.
async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    match mitosis_background::spawn("login", work.in_current_span()).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Rejection::new(ErrorCode::Unavailable, "the coordinator is shutting down").into()),
        },
    }
}

async fn decide(
    app: App,
    request: LoginRequest,
    attempt: Attempt,
    client: IpAddr,
    is_local: bool,
) -> Result<TokenReply, ApiError> {
    let user = app.store.user(&request.username).await?;
    let stored = user.as_ref().map(|user| user.password_hash.as_str());
    let right = app.verify_password(&attempt, &request.md5_password, stored).await?;
    let Some(user) = user.filter(|_| right) else {
        app.record(loggable(&request.username), actions::LOGIN_FAILED, "", Some(client)).await?;
        return Err(Rejection::new(ErrorCode::WrongCredentials, "wrong user name or password")
            .hint("check both; an administrator can reset the password")
            .into());
    };
    if user.admin && default_password::is_default(&request.md5_password) {
        let user = &user.name;
        if !is_local {
            tracing::error!(user, peer = %client, "rejected a remote login with the default password; change it");
            app.record(user, actions::LOGIN_FAILED, "", Some(client)).await?;
            return Err(default_password::remote_login_denied().into());
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
    Ok(TokenReply { token: app.tokens.for_user(&user.name, session, now) })
}

/// Where a login comes from.
pub(in crate::api) struct LoginOrigin {
    client: IpAddr,
    /// Whether the request was sent from this machine.
    is_local: bool,
    device: KnownDevice,
}

impl LoginOrigin {
    pub(in crate::api) fn client(&self) -> IpAddr {
        self.client
    }
}

impl Argument for LoginOrigin {}

impl FromRequestParts<App> for LoginOrigin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let Forwarded { client, .. } = Forwarded::of(parts, app);
        let is_local = default_password::is_local(app, parts, client);
        Ok(Self { client, is_local, device: KnownDevice::from_request_parts(parts, app).await? })
    }
}

pub(crate) fn too_many(wait: Duration) -> Rejection {
    let seconds = wait.as_secs() + 1;
    Rejection::new(ErrorCode::TooManyRequests, "too many failed logins for this account or from this address")
        .hint(format!("wait {seconds} s and check the password; an administrator can reset it"))
}

/// The name for the audit log. An invalid name may be a mistyped password, so it is not logged.
fn loggable(username: &str) -> &str {
    if Name::new(username).is_ok() { username } else { "?" }
}
