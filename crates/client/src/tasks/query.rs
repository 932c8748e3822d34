//! Queries tasks.

use mitosis_protocol::task::{QueryTasksReply, QueryTasksRequest, TaskFilter};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// Checks that the coordinator knows all conditions of a filter: an unknown one would select everything.
    pub(crate) async fn require_for(&self, filter: &TaskFilter) -> Result<(), ClientError> {
        match filter.filter {
            Some(_) => self.require("a filter in words, such as created>-2h,").await,
            None => Ok(()),
        }
    }

    /// `POST /tasks/query`.
    pub async fn query_tasks(&self, query: &QueryTasksRequest) -> Result<QueryTasksReply, ClientError> {
        self.require_for(&query.filter).await?;
        self.call(Method::POST, "/tasks/query").json(query).read().await
    }
}
