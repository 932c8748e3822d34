//! Lists schedules.

use mitosis_protocol::schedule::{SchedulesReply, SchedulesRequest};
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/schedules/query`: one page of the schedules of the caller's groups.
    pub async fn schedules(&self, request: &SchedulesRequest) -> Result<SchedulesReply, ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::POST, "/v1/schedules/query").json(request).read().await
    }
}
