//! Reads a group.

use mitosis_protocol::group::GroupInfo;
use reqwest::Method;

use crate::transfer::encode_name;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /groups/{group}`.
    pub async fn group(&self, name: &str) -> Result<GroupInfo, ClientError> {
        self.call(Method::GET, &format!("/groups/{}", encode_name(name))).read().await
    }
}
