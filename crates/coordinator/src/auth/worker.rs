//! Workers that are registered, as arguments of handlers.

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
use crate::auth::tokens::BadWorkerToken;
use crate::error::{ApiError, Refusal};

/// A worker with a valid token, whose record exists and whose owner's account is active.
///
/// The database being away is not a reason to refuse: published workers take any refusal as an order
/// to exit, so the request waits for a while.
pub(crate) struct WorkerCaller(pub(crate) Worker);

/// The name in a valid token of a worker. Whether the worker is still registered is not looked up.
pub(crate) struct WorkerToken(pub(crate) Uuid);

/// A worker that only wants to leave: its token may have expired.
pub(crate) struct LeavingWorker(pub(crate) Worker);

/// Whether the caller is a worker of ours. Published workers announce their states by themselves, and any
/// refusal ends them.
pub(crate) struct IsOurs(pub(crate) bool);

impl IsOurs {
    /// Who sent a request with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Self(agent.is_some_and(|agent| agent.starts_with("mito/")))
    }
}

impl FromRequestParts<App> for IsOurs {
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
    /// What the record of a worker makes of its token.
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
            Ok(uuid) | Err(BadWorkerToken::Expired(uuid)) => uuid,
            Err(BadWorkerToken::Invalid) => return Err(invalid_token().into()),
        };
        match app.retry.transient(|| app.store.worker(uuid)).await? {
            Some(worker) => Ok(Self(worker)),
            None => Err(not_registered(app, uuid).await),
        }
    }
}

/// The worker that the token of a request belongs to.
pub(crate) async fn identify(parts: &Parts, app: &App) -> Result<Uuid, ApiError> {
    match app.tokens.read_worker(bearer(parts)?, app.steady_now()) {
        Ok(uuid) => Ok(uuid),
        Err(BadWorkerToken::Invalid) => Err(invalid_token().into()),
        Err(BadWorkerToken::Expired(uuid)) => Err(expired(app, uuid).await),
    }
}

/// The refusal of a worker whose token has expired: it may come back, unless its lifetime is over or a user
/// removed it.
async fn expired(app: &App, uuid: Uuid) -> ApiError {
    match app.retry.transient(|| app.store.worker(uuid)).await {
        Ok(Some(worker)) if worker.token_until.is_some_and(|end| end <= app.steady_now()) => {
            lifetime_over().into()
        }
        Ok(Some(_)) => token_expired().into(),
        Ok(None) => match departure(app, uuid).await {
            Ok(Some(refusal)) => refusal.into(),
            Ok(None) => token_expired().into(),
            Err(error) => error,
        },
        Err(error) => error.into(),
    }
}

/// The refusal of a worker that is not registered any more, with the reason: one that a user removed must leave,
/// any other may register again.
pub(crate) async fn not_registered(app: &App, uuid: Uuid) -> ApiError {
    match departure(app, uuid).await {
        Ok(refusal) => refusal.unwrap_or_else(unknown_worker).into(),
        Err(error) => error,
    }
}

async fn departure(app: &App, uuid: Uuid) -> Result<Option<Refusal>, ApiError> {
    let departure = app.store.departure(uuid).await?;
    Ok(departure.map(|departure| match departure {
        Departure::Removed => Refusal::new(ErrorCode::WorkerRemoved, "a user removed this worker"),
        Departure::Expired => lifetime_over(),
    }))
}

fn lifetime_over() -> Refusal {
    Refusal::new(ErrorCode::WorkerExpired, "the lifetime of this worker has ended")
}

fn token_expired() -> Refusal {
    Refusal::new(ErrorCode::TokenExpired, "the token of this worker has expired")
}

fn unknown_worker() -> Refusal {
    Refusal::new(ErrorCode::WorkerUnknown, "the worker is not registered, or not any more")
}
