//! Removes a named limit.

use reqwest::Method;

use super::FEATURE;
use crate::transfer::encode_name;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `DELETE /v1/groups/{group}/limits/{limit}`: refused while jobs that use it have not ended.
    pub async fn remove_limit(&self, group: &str, limit: &str) -> Result<(), ClientError> {
        self.require(FEATURE).await?;
        let path = format!("/v1/groups/{}/limits/{}", encode_name(group), encode_name(limit));
        self.call(Method::DELETE, &path).done().await
    }
}
