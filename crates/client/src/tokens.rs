//! Personal tokens (native API). A personal token can't create, list or revoke tokens; that needs a login.

use mitosis_protocol::tokens::{CreateTokenReply, CreateTokenRequest, TokensReply};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/tokens`. Only this reply contains the token.
    pub async fn create_token(&self, request: &CreateTokenRequest) -> Result<CreateTokenReply, ClientError> {
        self.require("a personal token").await?;
        self.call(Method::POST, "/v1/tokens").json(request).read().await
    }

    /// `GET /v1/tokens`: the caller's own, oldest first.
    pub async fn tokens(&self) -> Result<TokensReply, ClientError> {
        self.require("a personal token").await?;
        self.call(Method::GET, "/v1/tokens").read().await
    }

    /// `DELETE /v1/tokens/{id}`. It takes effect at once.
    pub async fn revoke_token(&self, id: i64) -> Result<(), ClientError> {
        self.require("a personal token").await?;
        self.call(Method::DELETE, &format!("/v1/tokens/{id}")).done().await
    }
}
