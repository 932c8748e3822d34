//! Lists named limits.

use mitosis_protocol::limit::LimitsReply;
use reqwest::Method;

use super::FEATURE;
use crate::transfer::encode_name;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /v1/groups/{group}/limits`: the limits of a group, with what is in use.
    pub async fn limits(&self, group: &str) -> Result<LimitsReply, ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::GET, &format!("/v1/groups/{}/limits", encode_name(group))).read().await
    }
}
