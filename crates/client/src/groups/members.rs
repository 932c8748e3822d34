//! Manages the members of a group.

use mitosis_protocol::group::{RelationsRequest, RemoveUsersRequest};
use reqwest::Method;

use crate::transfer::encode_name;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `PUT /groups/{group}/users`: sets these roles and keeps the others.
    pub async fn set_members(&self, group: &str, roles: &RelationsRequest) -> Result<(), ClientError> {
        let path = format!("/groups/{}/users", encode_name(group));
        self.call(Method::PUT, &path).json(roles).done().await
    }

    /// `POST /groups/{group}/users/remove`. Users who are not members are skipped.
    pub async fn remove_members(&self, group: &str, users: &RemoveUsersRequest) -> Result<(), ClientError> {
        let path = format!("/groups/{}/users/remove", encode_name(group));
        self.call(Method::POST, &path).json(users).done().await
    }
}
