//! Users who are allowed in, as arguments of handlers.

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use mitosis_domain::account::User;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::admin::AccountState;

use crate::app::App;
use crate::error::{ApiError, Refusal};

/// A user with a valid token, a session in force and an active account.
pub(crate) struct Caller(pub(crate) User);

/// The same, with the administrator's flag.
pub(crate) struct AdminCaller(pub(crate) User);

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (user, session) = identify(parts, app).await?;
        active(&user)?;
        in_session(&user, session)?;
        Ok(Self(user))
    }
}

impl FromRequestParts<App> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (user, session) = identify(parts, app).await?;
        if !user.admin {
            return Err(Refusal::forbidden("only administrators may do this").into());
        }
        active(&user)?;
        in_session(&user, session)?;
        Ok(Self(user))
    }
}

async fn identify(parts: &Parts, app: &App) -> Result<(User, i64), ApiError> {
    let claims = app.tokens.read_user(bearer(parts)?, app.now()).map_err(|_| invalid_token())?;
    let user = app.store.user(&claims.username).await?.ok_or_else(invalid_token)?;
    Ok((user, claims.session))
}

fn active(user: &User) -> Result<(), Refusal> {
    match user.state {
        AccountState::Active => Ok(()),
        AccountState::Locked | AccountState::Deleted => Err(not_active()),
    }
}

fn in_session(user: &User, session: i64) -> Result<(), Refusal> {
    if user.session == Some(session) { Ok(()) } else { Err(invalid_token()) }
}

/// The token of a request.
pub(crate) fn bearer(parts: &Parts) -> Result<&str, Refusal> {
    parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| {
            Refusal::new(ErrorCode::MissingToken, "the request carries no bearer token")
                .hint("send `Authorization: Bearer TOKEN`; POST /login gives a token")
        })
}

pub(crate) fn invalid_token() -> Refusal {
    Refusal::new(ErrorCode::InvalidToken, "the token is not valid, or not any more")
        .hint("log in again; a login without `retain` and a change of the password end earlier tokens")
}

pub(crate) fn not_active() -> Refusal {
    Refusal::new(ErrorCode::AccountNotActive, "the account is locked or deleted")
        .hint("ask an administrator to make it active again")
}
