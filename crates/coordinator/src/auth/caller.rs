//! Users who are allowed in, as arguments of handlers.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::{FromRequestParts, MatchedPath};
use http::header::AUTHORIZATION;
use http::request::Parts;
use mitosis_domain::account::User;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::tokens::PREFIX;
use mitosis_store::ops::personal_tokens::TokenOwner;

use super::standing::{LastingCaller, Standing};
use crate::api::routes::{Asks, asked};
use crate::app::App;
use crate::auth::throttle::{Attempt, Device};
use crate::error::{ApiError, Refusal};

/// A user with a valid token, a session in force and an active account.
pub(crate) struct Caller(pub(crate) User);

/// The same, logged in with a password: a personal token is not enough.
pub(crate) struct PasswordCaller(pub(crate) User);

/// The same as [`Caller`], with the administrator's flag.
pub(crate) struct AdminCaller(pub(crate) User);

/// What a request shows of an earlier login of the caller: a token, whether or not it is still good.
pub(crate) struct KnownDevice(Option<(String, Device)>);

impl KnownDevice {
    /// An attempt to prove a password, from the device if it is known to the account.
    pub(crate) fn attempt(self, account: &str, address: IpAddr) -> Attempt {
        match self.0 {
            Some((owner, device)) if owner == account => Attempt::of_device(account, device),
            _ => Attempt::from_address(account, address),
        }
    }
}

impl FromRequestParts<App> for KnownDevice {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let owner_and_digest = bearer(parts)
            .ok()
            .and_then(|token| Some((app.tokens.was_given_to(token)?, personal_token_digest(token))));
        Ok(Self(owner_and_digest))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let LastingCaller(user, _) = LastingCaller::from_request_parts(parts, app).await?;
        Ok(Self(user))
    }
}

impl FromRequestParts<App> for LastingCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (user, standing) = identify(parts, app).await?;
        active(&user)?;
        admit(parts, &user, &standing)?;
        Ok(Self(user, standing))
    }
}

impl FromRequestParts<App> for PasswordCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let LastingCaller(user, standing) = LastingCaller::from_request_parts(parts, app).await?;
        match standing.scope() {
            None => Ok(Self(user)),
            Some(_) => Err(Asks::Password.refusal().into()),
        }
    }
}

impl FromRequestParts<App> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (user, standing) = identify(parts, app).await?;
        if !user.admin {
            return Err(not_an_administrator().into());
        }
        active(&user)?;
        admit(parts, &user, &standing)?;
        Ok(Self(user))
    }
}

/// Only administrators may do this.
pub(crate) fn not_an_administrator() -> Refusal {
    Refusal::forbidden("only administrators may do this").hint("ask an administrator of the site")
}

/// The user behind a token, if the token and, with a login, the session are in force.
async fn identify(parts: &Parts, app: &App) -> Result<(User, Standing), ApiError> {
    let token = bearer(parts)?;
    if token.starts_with(PREFIX) {
        let digest = personal_token_digest(token);
        let owner = app.store.owner_of_personal_token(&digest, app.now()).await?;
        let TokenOwner { user, id, scope, expires_at } = owner.ok_or_else(invalid_token)?;
        return Ok((user, Standing::of_token(digest, id, scope, expires_at)));
    }
    let claims = app.tokens.read_user(token, app.now()).map_err(|_| invalid_token())?;
    let user = app.store.user(&claims.username).await?.ok_or_else(invalid_token)?;
    let standing = Standing::of_session(claims.username, claims.session, claims.until);
    Ok((user, standing))
}

/// Whether the session is in force, or the route that is asked admits this token. What a personal token may do
/// is declared with the route.
fn admit(parts: &Parts, user: &User, standing: &Standing) -> Result<(), Refusal> {
    standing.agrees_with(user)?;
    let Some(scope) = standing.scope() else { return Ok(()) };
    let asks = parts.extensions.get::<MatchedPath>().and_then(|path| asked(&parts.method, path.as_str()));
    match asks {
        Some(asks) if asks.admits(scope) => Ok(()),
        Some(asks) => Err(asks.refusal()),
        None => Err(Asks::Password.refusal()),
    }
}

/// What is stored of a personal token. It is random and long, so that a plain digest can't be turned back.
pub(crate) fn personal_token_digest(token: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Refuses an account that is locked or deleted.
pub(super) fn active(user: &User) -> Result<(), Refusal> {
    match user.state {
        AccountState::Active => Ok(()),
        AccountState::Locked | AccountState::Deleted => Err(not_active()),
    }
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
