//! Finding workers.

use mitosis_protocol::worker::{QueryWorkersReply, QueryWorkersRequest};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /workers/query`.
    pub async fn query_workers(&self, query: &QueryWorkersRequest) -> Result<QueryWorkersReply, ClientError> {
        self.call(Method::POST, "/workers/query").json(query).read().await
    }
}
