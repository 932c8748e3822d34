//! Registered agents, as arguments of handlers.

use axum::extract::FromRequestParts;
use http::request::Parts;
use mitosis_domain::ids::WorkerId;
use mitosis_protocol::Uuid;
use mitosis_protocol::admin::AccountState;

use crate::app::App;
use crate::auth::worker::{identify, not_registered};
use crate::error::ApiError;

/// An agent with a valid token that was registered at its first request to this coordinator. Each operation checks by
/// itself whether it still is, so that a request needs no lookup.
pub(crate) struct AgentCaller(pub(crate) Agent);

/// The identifiers of an agent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agent {
    pub(crate) id: WorkerId,
    pub(crate) uuid: Uuid,
}

impl FromRequestParts<App> for AgentCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let uuid = identify(parts, app).await?;
        if let Some(id) = app.agents.id(uuid) {
            return Ok(Self(Agent { id, uuid }));
        }
        match app.retry.transient(|| app.store.worker(uuid)).await? {
            Some(worker) if worker.creator_state == AccountState::Active => {
                app.agents.insert(uuid, worker.id, worker.kind(), worker.lost_after);
                Ok(Self(Agent { id: worker.id, uuid }))
            }
            _ => Err(not_registered(app, uuid).await),
        }
    }
}
