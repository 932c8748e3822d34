//! Users who are allowed in, as arguments of handlers.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::Method;
use http::header::AUTHORIZATION;
use http::request::Parts;
use mitosis_domain::account::User;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::tokens::{PREFIX, TokenScope};

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

/// How a caller was identified.
#[derive(Clone, Copy)]
enum Proof {
    Session(i64),
    PersonalToken(TokenScope),
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (user, proof) = identify(parts, app).await?;
        active(&user)?;
        match proof {
            Proof::Session(session) => in_session(&user, session)?,
            Proof::PersonalToken(TokenScope::Read) => only_looks(parts)?,
            Proof::PersonalToken(TokenScope::Write | TokenScope::Admin) => {}
        }
        Ok(Self(user))
    }
}

impl FromRequestParts<App> for PasswordCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (user, proof) = identify(parts, app).await?;
        active(&user)?;
        match proof {
            Proof::Session(session) => in_session(&user, session)?,
            Proof::PersonalToken(_) => {
                return Err(Refusal::forbidden("a personal token can't do this").hint("log in").into());
            }
        }
        Ok(Self(user))
    }
}

impl FromRequestParts<App> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (user, proof) = identify(parts, app).await?;
        if !user.admin {
            return Err(Refusal::forbidden("only administrators may do this")
                .hint("ask an administrator of the site")
                .into());
        }
        active(&user)?;
        match proof {
            Proof::Session(session) => in_session(&user, session)?,
            Proof::PersonalToken(TokenScope::Admin) => {}
            Proof::PersonalToken(TokenScope::Read | TokenScope::Write) => {
                return Err(Refusal::forbidden("this needs a personal token with the scope `admin`")
                    .hint("make one with that scope, or log in")
                    .into());
            }
        }
        Ok(Self(user))
    }
}

async fn identify(parts: &Parts, app: &App) -> Result<(User, Proof), ApiError> {
    let token = bearer(parts)?;
    if token.starts_with(PREFIX) {
        let digest = personal_token_digest(token);
        let owner = app.store.owner_of_personal_token(&digest, app.now()).await?;
        let (user, scope) = owner.ok_or_else(invalid_token)?;
        return Ok((user, Proof::PersonalToken(scope)));
    }
    let claims = app.tokens.read_user(token, app.now()).map_err(|_| invalid_token())?;
    let user = app.store.user(&claims.username).await?.ok_or_else(invalid_token)?;
    Ok((user, Proof::Session(claims.session)))
}

/// What is stored of a personal token. It is random and long, so that a plain digest can't be turned back.
pub(crate) fn personal_token_digest(token: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Whether a request changes nothing: a GET, or a question that is too long for one.
fn only_looks(parts: &Parts) -> Result<(), Refusal> {
    let path = parts.uri.path();
    let asks = parts.method == Method::POST && (path.ends_with("/query") || path.contains("/download/"));
    match parts.method.is_safe() || asks {
        true => Ok(()),
        false => Err(Refusal::forbidden("this needs a personal token with the scope `write`")
            .hint("make one with that scope, or log in")),
    }
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
