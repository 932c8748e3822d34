//! Registered workers, as arguments of handlers.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::USER_AGENT;
use http::request::Parts;
use mitosis_domain::worker::Worker;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{ErrorCode, Uuid};
use mitosis_store::ops::workers::Departure;

use crate::app::App;
use crate::auth::caller::{bearer, invalid_token};
use crate::auth::tokens::WorkerTokenError;
use crate::error::{ApiError, Rejection};

/// A registered worker with a valid token, whose owner's account is active.
///
/// A legacy worker exits when a request is rejected, so the request waits for a while if the database is unavailable.
pub(crate) struct WorkerCaller(pub(crate) Worker);

/// The UUID in a valid token of a worker. Its registration is not checked.
pub(crate) struct WorkerToken(pub(crate) Uuid);

/// A worker that signs off. Its token may have expired.
pub(crate) struct LeavingWorker(pub(crate) Worker);

/// The program of a calling worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerProgram {
    Native,
    /// It announces its states itself, and exits when a request is rejected.
    Legacy,
}

impl WorkerProgram {
    /// Reads the `User-Agent` header.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        match agent {
            Some(agent) if agent.starts_with("mito/") => Self::Native,
            _ => Self::Legacy,
        }
    }
}

impl FromRequestParts<App> for WorkerProgram {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

impl FromRequestParts<App> for WorkerToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        identify(parts, app).await.map(Self)
    }
}

impl WorkerCaller {
    /// Accepts a worker that is registered and whose owner is active.
    pub(crate) async fn of(app: &App, uuid: Uuid, worker: Option<Worker>) -> Result<Self, ApiError> {
        match worker {
            Some(worker) if worker.creator_state == AccountState::Active => Ok(Self(worker)),
            _ => Err(not_registered(app, uuid).await),
        }
    }
}

impl FromRequestParts<App> for WorkerCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let WorkerToken(uuid) = WorkerToken::from_request_parts(parts, app).await?;
        Self::of(app, uuid, app.retry.transient(|| app.store.worker(uuid)).await?).await
    }
}

impl FromRequestParts<App> for LeavingWorker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let uuid = match app.tokens.read_worker(bearer(parts)?, app.steady_now()) {
            Ok(uuid) | Err(WorkerTokenError::Expired(uuid)) => uuid,
            Err(WorkerTokenError::Invalid) => return Err(invalid_token().into()),
        };
        match app.retry.transient(|| app.store.worker(uuid)).await? {
            Some(worker) => Ok(Self(worker)),
            None => Err(not_registered(app, uuid).await),
        }
    }
}

/// The UUID of the worker that the token of a request identifies.
pub(crate) async fn identify(parts: &Parts, app: &App) -> Result<Uuid, ApiError> {
    match app.tokens.read_worker(bearer(parts)?, app.steady_now()) {
        Ok(uuid) => Ok(uuid),
        Err(WorkerTokenError::Invalid) => Err(invalid_token().into()),
        Err(WorkerTokenError::Expired(uuid)) => Err(expired(app, uuid).await),
    }
}

/// The rejection of an expired token, with the reason: the worker may register again unless its lifetime has ended or a
/// user has removed it.
async fn expired(app: &App, uuid: Uuid) -> ApiError {
    match app.retry.transient(|| app.store.worker(uuid)).await {
        Ok(Some(worker)) if worker.token_until.is_some_and(|end| end <= app.steady_now()) => {
            lifetime_ended().into()
        }
        Ok(Some(_)) => token_expired().into(),
        Ok(None) => match departure(app, uuid).await {
            Ok(Some(rejection)) => rejection.into(),
            Ok(None) => token_expired().into(),
            Err(error) => error,
        },
        Err(error) => error.into(),
    }
}

/// The rejection of a worker that is not registered, with the reason: a worker that a user has removed must exit, others
/// may register again.
pub(crate) async fn not_registered(app: &App, uuid: Uuid) -> ApiError {
    match departure(app, uuid).await {
        Ok(rejection) => rejection.unwrap_or_else(unknown_worker).into(),
        Err(error) => error,
    }
}

async fn departure(app: &App, uuid: Uuid) -> Result<Option<Rejection>, ApiError> {
    let departure = app.store.departure(uuid).await?;
    Ok(departure.map(|departure| match departure {
        Departure::Removed => Rejection::new(ErrorCode::WorkerRemoved, "a user removed this worker"),
        Departure::Expired => lifetime_ended(),
    }))
}

fn lifetime_ended() -> Rejection {
    Rejection::new(ErrorCode::WorkerExpired, "the lifetime of this worker has ended")
}

fn token_expired() -> Rejection {
    Rejection::new(ErrorCode::TokenExpired, "the token of this worker has expired")
}

fn unknown_worker() -> Rejection {
    Rejection::new(ErrorCode::WorkerUnknown, "the worker is not registered")
}
