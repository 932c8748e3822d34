//! Login and the caller's own account (HTTP contract §5).

use mitosis_protocol::Md5Password;
use mitosis_protocol::auth::{
    ChangeOwnPasswordRequest, HealthReply, LoginCodeReply, LoginRequest, OwnGroupsReply, RedisReply,
    TokenReply,
};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};

use crate::call::Call;
use crate::transfer::encode_name;
use crate::{Client, ClientError, UserClient};

/// The digest of a password for the wire.
pub(crate) fn digest(password: &SecretString) -> Md5Password {
    Md5Password::from_digest(md5::compute(password.expose_secret()).0)
}

/// What becomes of the earlier tokens of an account at a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlierTokens {
    /// They stay valid.
    Retain,
    /// They end.
    End,
}

impl Client {
    /// Whether the coordinator is healthy, with the state of each part.
    pub async fn health(&self) -> Result<HealthReply, ClientError> {
        self.call(Method::GET, "/health").read().await
    }

    /// Logs in with a name and a password, and returns a token.
    pub async fn login(
        &self,
        username: &str,
        password: &SecretString,
        earlier: EarlierTokens,
    ) -> Result<SecretString, ClientError> {
        log_in(self.call(Method::POST, "/login"), username, password, earlier).await
    }
}

async fn log_in(
    call: Call<'_>,
    username: &str,
    password: &SecretString,
    earlier: EarlierTokens,
) -> Result<SecretString, ClientError> {
    let request = LoginRequest {
        username: username.to_owned(),
        md5_password: digest(password),
        retain: earlier == EarlierTokens::Retain,
    };
    let reply: TokenReply = call.json(&request).read().await?;
    Ok(reply.token.into())
}

impl UserClient {
    /// Logs in like [`Client::login`] and sends the token of an earlier login: failed logins of others from the
    /// same address then don't count.
    pub async fn log_in_again(
        &self,
        username: &str,
        password: &SecretString,
        earlier: EarlierTokens,
    ) -> Result<SecretString, ClientError> {
        log_in(self.call(Method::POST, "/login"), username, password, earlier).await
    }

    /// The name of the token's user.
    pub async fn auth(&self) -> Result<String, ClientError> {
        self.call(Method::GET, "/auth").text().await
    }

    /// Ends all sessions of the caller, with this one. Personal tokens and workers stay.
    pub async fn end_sessions(&self) -> Result<(), ClientError> {
        self.require("the end of all sessions").await?;
        self.call(Method::DELETE, "/v1/sessions").done().await
    }

    /// A code that logs in to the web page once.
    pub async fn login_code(&self) -> Result<SecretString, ClientError> {
        self.require("the web page").await?;
        let reply: LoginCodeReply = self.call(Method::POST, "/v1/web/login-codes").read().await?;
        Ok(reply.code.into())
    }

    /// The caller's groups and roles.
    pub async fn groups(&self) -> Result<OwnGroupsReply, ClientError> {
        self.call(Method::GET, "/users/groups").read().await
    }

    /// The Redis server to which execution states are published, if there is one.
    pub async fn redis(&self) -> Result<RedisReply, ClientError> {
        self.call(Method::GET, "/redis").read().await
    }

    /// Changes the caller's own password. Returns the token that replaces this one.
    pub async fn change_password(
        &self,
        username: &str,
        old: &SecretString,
        new: &SecretString,
    ) -> Result<SecretString, ClientError> {
        let request =
            ChangeOwnPasswordRequest { old_md5_password: digest(old), new_md5_password: digest(new) };
        let path = format!("/users/{}/password", encode_name(username));
        let reply: TokenReply = self.call(Method::POST, &path).json(&request).read().await?;
        Ok(reply.token.into())
    }
}
