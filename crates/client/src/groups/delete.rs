//! Deletes a group.

use reqwest::Method;

use crate::transfer::encode_name;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `DELETE /v1/groups/{group}`. Needs Admin; an administrator of the site can undo it.
    pub async fn delete_group(&self, name: &str) -> Result<(), ClientError> {
        self.require("the deletion of a group").await?;
        self.call(Method::DELETE, &format!("/v1/groups/{}", encode_name(name))).in_bulk().done().await
    }
}
