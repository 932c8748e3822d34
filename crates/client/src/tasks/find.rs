//! Finds one task by a short name.

use mitosis_protocol::task::FindTaskReply;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /v1/tasks/find`: by UUID, the start of one, `group-number`, or `last`. A coordinator before 0.7
    /// answers with 404.
    pub async fn find_task(&self, selector: &str) -> Result<FindTaskReply, ClientError> {
        self.require("a task by a short name").await?;
        let selector = utf8_percent_encode(selector, NON_ALPHANUMERIC);
        self.call(Method::GET, &format!("/v1/tasks/find?selector={selector}")).read().await
    }
}
