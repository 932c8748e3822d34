//! Workers that are registered, as arguments of handlers.

use axum::extract::FromRequestParts;
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
