//! Authenticated users, as arguments of handlers.

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

use super::page_session::token_of;
use super::revalidation::{AuthenticatedCaller, Authentication};
use crate::api::routes::{Access, access_of};
use crate::app::App;
use crate::auth::throttle::{Attempt, Device};
use crate::error::{ApiError, Rejection};

/// A user with an active account and a valid session or personal token.
pub(crate) struct Caller(pub(crate) User);

/// A [`Caller`] who has logged in with a password: a personal token is not enough.
pub(crate) struct PasswordCaller(pub(crate) User);

/// A [`Caller`] who is an administrator of the site.
pub(crate) struct AdminCaller(pub(crate) User);

/// The token of an earlier login in a request, valid or expired. It identifies a device that has logged in before.
pub(crate) struct KnownDevice(Option<(String, Device)>);

impl KnownDevice {
    /// The attempt to prove a password, counted for the device if it is known to the account.
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
            .and_then(|token| Some((app.tokens.owner_of(token)?, personal_token_digest(token))));
        Ok(Self(owner_and_digest))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let AuthenticatedCaller(user, _) = AuthenticatedCaller::from_request_parts(parts, app).await?;
        Ok(Self(user))
    }
}

impl FromRequestParts<App> for AuthenticatedCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (user, authentication) = identify(parts, app).await?;
        require_active(&user)?;
        authorize(parts, &user, &authentication)?;
        Ok(Self(user, authentication))
    }
}

impl FromRequestParts<App> for PasswordCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let AuthenticatedCaller(user, authentication) =
            AuthenticatedCaller::from_request_parts(parts, app).await?;
        match authentication.scope() {
            None => Ok(Self(user)),
            Some(_) => Err(Access::Password.denied().into()),
        }
    }
}

impl FromRequestParts<App> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (user, authentication) = identify(parts, app).await?;
        if !user.admin {
            return Err(not_an_administrator().into());
        }
        require_active(&user)?;
        authorize(parts, &user, &authentication)?;
        Ok(Self(user))
    }
}

/// The rejection of a user who is not an administrator.
pub(crate) fn not_an_administrator() -> Rejection {
    Rejection::forbidden("this operation requires an administrator").hint("ask an administrator of the site")
}

/// The user that the token of a request identifies, and the authentication.
async fn identify(parts: &Parts, app: &App) -> Result<(User, Authentication), ApiError> {
    owner(token_of(parts, app)?, app).await
}

/// The active user of a valid token, and the authentication.
pub(crate) async fn user_of_token(token: &str, app: &App) -> Result<(User, Authentication), ApiError> {
    let (user, authentication) = owner(token, app).await?;
    require_active(&user)?;
    authentication.check_session(&user)?;
    Ok((user, authentication))
}

/// The user that a token identifies, and the authentication.
async fn owner(token: &str, app: &App) -> Result<(User, Authentication), ApiError> {
    if token.starts_with(PREFIX) {
        let digest = personal_token_digest(token);
        let owner = app.store.owner_of_personal_token(&digest, app.now()).await?;
        let TokenOwner { user, id, scope, expires_at } = owner.ok_or_else(invalid_token)?;
        return Ok((user, Authentication::of_token(digest, id, scope, expires_at)));
    }
    let claims = app.tokens.read_user(token, app.now()).map_err(|_| invalid_token())?;
    let user = app.store.user(&claims.username).await?.ok_or_else(invalid_token)?;
    let authentication = Authentication::of_session(claims.username, claims.session, claims.until);
    Ok((user, authentication))
}

/// Checks that the session is current, or that the route allows the scope of the personal token.
fn authorize(parts: &Parts, user: &User, authentication: &Authentication) -> Result<(), Rejection> {
    authentication.check_session(user)?;
    let Some(scope) = authentication.scope() else { return Ok(()) };
    let access =
        parts.extensions.get::<MatchedPath>().and_then(|path| access_of(&parts.method, path.as_str()));
    match access {
        Some(access) if access.allows(scope) => Ok(()),
        Some(access) => Err(access.denied()),
        None => Err(Access::Password.denied()),
    }
}

/// The digest of a personal token that is stored. Tokens are long and random, so a plain digest is enough.
pub(crate) fn personal_token_digest(token: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Rejects an account that is locked or deleted.
pub(super) fn require_active(user: &User) -> Result<(), Rejection> {
    match user.state {
        AccountState::Active => Ok(()),
        AccountState::Locked | AccountState::Deleted => Err(not_active()),
    }
}

/// The bearer token of a request.
pub(crate) fn bearer(parts: &Parts) -> Result<&str, Rejection> {
    parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| {
            Rejection::new(ErrorCode::MissingToken, "the request has no bearer token")
                .hint("send `Authorization: Bearer TOKEN`; `POST /login` returns a token")
        })
}

pub(crate) fn invalid_token() -> Rejection {
    Rejection::new(ErrorCode::InvalidToken, "the token is invalid or has expired")
        .hint("log in again; a login without `retain` or a password change ends earlier sessions")
}

pub(crate) fn not_active() -> Rejection {
    Rejection::new(ErrorCode::AccountNotActive, "the account is locked or deleted")
        .hint("ask an administrator to restore it")
}
