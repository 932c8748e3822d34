//! Workers that are registered, as arguments of handlers.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header::USER_AGENT;
use http::request::Parts;
use mitosis_domain::worker::Worker;
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

/// Whether the caller is an agent of ours. Published workers announce their states by themselves.
pub(crate) struct IsOurs(pub(crate) bool);

impl FromRequestParts<App> for IsOurs {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Infallible> {
        let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Ok(Self(agent.is_some_and(|agent| agent.starts_with("mito/"))))
    }
}

impl FromRequestParts<App> for WorkerCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let uuid = app.tokens.read_worker(bearer(parts)?, app.now()).map_err(|_| invalid_token())?;
        let worker = patiently(app, || app.store.worker(uuid)).await?;
        match worker {
            Some(worker) if worker.creator_state == AccountState::Active => Ok(Self(worker)),
            _ => Err(invalid_token().into()),
        }
    }
}
