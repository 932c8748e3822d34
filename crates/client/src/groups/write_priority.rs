//! Bounds the priorities of the members of a group.

use mitosis_protocol::group::WritePriorityRequest;
use reqwest::Method;

use crate::transfer::encode_name;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `PUT /v1/groups/{group}/write-priority`: the largest priority for the role Write, or no bound.
    pub async fn set_write_priority(&self, group: &str, most: Option<i32>) -> Result<(), ClientError> {
        self.require("bounds of priorities").await?;
        let path = format!("/v1/groups/{}/write-priority", encode_name(group));
        self.call(Method::PUT, &path).json(&WritePriorityRequest { most }).done().await
    }
}
