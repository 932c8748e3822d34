//! Creates a group.

use mitosis_protocol::group::CreateGroupRequest;
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /groups`. The caller becomes its Admin.
    pub async fn create_group(&self, name: &str) -> Result<(), ClientError> {
        let request = CreateGroupRequest { group_name: name.to_owned() };
        self.call(Method::POST, "/groups").json(&request).done().await
    }
}
