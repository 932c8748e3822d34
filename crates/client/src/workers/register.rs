//! Registers a worker.

use std::time::Duration;

use mitosis_protocol::Uuid;
use mitosis_protocol::worker::{RegisterWorkerReply, RegisterWorkerRequest};
use reqwest::Method;
use secrecy::SecretString;

use crate::worker_calls::{LeaseTerms, token};
use crate::{ClientError, UserClient, WorkerClient};

/// A registered worker.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The UUID of the worker.
    pub uuid: Uuid,
    /// The connection of the worker.
    pub client: WorkerClient,
    /// The lease terms, if the coordinator sends them.
    pub terms: Option<LeaseTerms>,
    /// The lifetime of its token, if it is known.
    pub token_life: Option<Duration>,
    /// The address for announcing execution states, if there is Redis. It contains a password.
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
        let terms = crate::worker_calls::terms(&response);
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
