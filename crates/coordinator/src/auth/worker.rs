//! Workers that are registered, as arguments of handlers.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::USER_AGENT;
use http::request::Parts;
use mitosis_domain::worker::Worker;
use mitosis_protocol::Uuid;
use mitosis_protocol::admin::AccountState;

use crate::app::App;
use crate::auth::caller::{bearer, invalid_token};
use crate::dispatch::patience::patiently;
use crate::error::ApiError;

/// A worker with a valid token, whose record exists and whose owner's account is active.
///
/// The database being away is not a reason to refuse: published workers take any refusal as an order
/// to exit, so the request waits for a while.
pub(crate) struct WorkerCaller(pub(crate) Worker);

/// The name in a valid token of a worker. Whether the worker is still registered is not looked up.
pub(crate) struct WorkerToken(pub(crate) Uuid);

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
        let uuid = app.tokens.read_worker(bearer(parts)?, app.now()).map_err(|_| invalid_token())?;
        Ok(Self(uuid))
    }
}

impl WorkerCaller {
    /// What the record of a worker makes of its token.
    pub(crate) fn of(worker: Option<Worker>) -> Result<Self, ApiError> {
        match worker {
            Some(worker) if worker.creator_state == AccountState::Active => Ok(Self(worker)),
            _ => Err(invalid_token().into()),
        }
    }
}

impl FromRequestParts<App> for WorkerCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let WorkerToken(uuid) = WorkerToken::from_request_parts(parts, app).await?;
        Self::of(patiently(app, || app.store.worker(uuid)).await?)
    }
}
