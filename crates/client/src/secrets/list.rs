//! Lists secrets.

use mitosis_protocol::auth::features;
use mitosis_protocol::secret::SecretsReply;
use reqwest::Method;

use super::FEATURE;
use crate::transfer::encode_name;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /v1/groups/{group}/secrets`: the secrets of a group, without their values.
    pub async fn secrets(&self, group: &str) -> Result<SecretsReply, ClientError> {
        self.client().require_named(FEATURE, features::SECRETS).await?;
        self.call(Method::GET, &format!("/v1/groups/{}/secrets", encode_name(group))).read().await
    }
}
