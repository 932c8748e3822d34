//! Finding tasks.

use mitosis_protocol::task::{QueryTasksReply, QueryTasksRequest};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /tasks/query`.
    pub async fn query_tasks(&self, query: &QueryTasksRequest) -> Result<QueryTasksReply, ClientError> {
        self.call(Method::POST, "/tasks/query").json(query).read().await
    }
}
