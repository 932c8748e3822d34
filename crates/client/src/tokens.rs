//! Personal tokens (native API). A personal token can't make, list or revoke any; that needs a login.

use mitosis_protocol::tokens::{CreateTokenReply, CreateTokenRequest, TokensReply};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/tokens`. The reply is the only place where the token is ever shown.
    pub async fn create_token(&self, request: &CreateTokenRequest) -> Result<CreateTokenReply, ClientError> {
        self.require("a personal token").await?;
        self.call(Method::POST, "/v1/tokens").json(request).read().await
    }

    /// `GET /v1/tokens`: the caller's own, oldest first.
    pub async fn tokens(&self) -> Result<TokensReply, ClientError> {
        self.require("a personal token").await?;
        self.call(Method::GET, "/v1/tokens").read().await
    }

    /// `DELETE /v1/tokens/{id}`. In force at once.
    pub async fn revoke_token(&self, id: i64) -> Result<(), ClientError> {
        self.require("a personal token").await?;
        self.call(Method::DELETE, &format!("/v1/tokens/{id}")).done().await
    }
}
