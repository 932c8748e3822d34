//! Registering a worker.

use std::time::Duration;

use mitosis_protocol::Uuid;
use mitosis_protocol::worker::{RegisterWorkerReply, RegisterWorkerRequest};
use reqwest::Method;
use secrecy::SecretString;

use crate::agent::{LeaseTerms, token};
use crate::{ClientError, UserClient, WorkerClient};

/// A worker that was registered.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its identity.
    pub uuid: Uuid,
    /// Its own connection.
    pub client: WorkerClient,
    /// How long it may be silent, if the coordinator says so.
    pub terms: Option<LeaseTerms>,
    /// How long its token is good for, if that can be told.
    pub token_life: Option<Duration>,
    /// Where to announce execution states, if there is Redis. It holds a password.
    pub redis_url: Option<SecretString>,
}

impl UserClient {
    /// `POST /workers`.
    pub async fn register_worker(
        &self,
        request: &RegisterWorkerRequest,
    ) -> Result<Registration, ClientError> {
        if request.lost_after.is_some() {
            self.require("a worker with `lost_after`").await?;
        }
        let response = self.call(Method::POST, "/workers").json(request).send().await?;
        let terms = crate::agent::terms(&response);
        let sent_at = token::sent_at(&response);
        let address = self.client().address().to_owned();
        let reply: RegisterWorkerReply = response
            .json()
            .await
            .map_err(|error| ClientError::Unexpected { address, source: error.into() })?;
        let token_life = token::life(&reply.token, sent_at);
        let client = self.client().with_worker_token(reply.token.into());
        let redis_url = reply.redis_url.map(SecretString::from);
        Ok(Registration { uuid: reply.worker_id, client, terms, token_life, redis_url })
    }
}
