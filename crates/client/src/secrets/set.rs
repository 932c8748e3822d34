//! Sets a secret.

use mitosis_protocol::auth::features;
use mitosis_protocol::secret::{SecretValue, SetSecretRequest};
use reqwest::Method;

use super::FEATURE;
use crate::transfer::encode_name;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `PUT /v1/groups/{group}/secrets/{secret}`: creates a secret, or changes its value.
    pub async fn set_secret(
        &self,
        group: &str,
        secret: &str,
        value: &SecretValue,
    ) -> Result<(), ClientError> {
        self.client().require_named(FEATURE, features::SECRETS).await?;
        let path = format!("/v1/groups/{}/secrets/{}", encode_name(group), encode_name(secret));
        let request = SetSecretRequest { value: value.clone() };
        self.call(Method::PUT, &path).json(&request).done().await
    }
}
