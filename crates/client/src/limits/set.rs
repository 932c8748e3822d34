//! Sets a named limit.

use mitosis_protocol::limit::SetLimitRequest;
use reqwest::Method;

use super::FEATURE;
use crate::transfer::encode_name;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `PUT /v1/groups/{group}/limits/{limit}`: creates a limit, or changes its value.
    pub async fn set_limit(&self, group: &str, limit: &str, value: u64) -> Result<(), ClientError> {
        self.require(FEATURE).await?;
        let path = format!("/v1/groups/{}/limits/{}", encode_name(group), encode_name(limit));
        self.call(Method::PUT, &path).json(&SetLimitRequest { value }).done().await
    }
}
