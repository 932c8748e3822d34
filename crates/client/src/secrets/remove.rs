//! Removes a secret.

use mitosis_protocol::auth::features;
use reqwest::Method;

use super::FEATURE;
use crate::transfer::encode_name;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `DELETE /v1/groups/{group}/secrets/{secret}`: tasks that use it end when they are assigned.
    pub async fn remove_secret(&self, group: &str, secret: &str) -> Result<(), ClientError> {
        self.client().require_named(FEATURE, features::SECRETS).await?;
        let path = format!("/v1/groups/{}/secrets/{}", encode_name(group), encode_name(secret));
        self.call(Method::DELETE, &path).done().await
    }
}
