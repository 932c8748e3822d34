//! The key that signs the notifications of a group.

use mitosis_protocol::notify::NotifyKeyReply;
use reqwest::Method;

use crate::transfer::encode_name;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /v1/groups/{group}/notify-key`. Needs Admin.
    pub async fn notify_key(&self, group: &str) -> Result<NotifyKeyReply, ClientError> {
        self.call_notify_key(Method::GET, group).await
    }

    /// `POST /v1/groups/{group}/notify-key`. Needs Admin.
    pub async fn replace_notify_key(&self, group: &str) -> Result<NotifyKeyReply, ClientError> {
        self.call_notify_key(Method::POST, group).await
    }

    async fn call_notify_key(&self, method: Method, group: &str) -> Result<NotifyKeyReply, ClientError> {
        self.require("the key of notifications").await?;
        self.call(method, &format!("/v1/groups/{}/notify-key", encode_name(group))).read().await
    }
}
