//! Personal tokens. Only digests are stored.

use async_trait::async_trait;
use mitosis_domain::account::User;
use mitosis_domain::ids::UserId;
use mitosis_protocol::Timestamp;
use mitosis_protocol::tokens::{TokenInfo, TokenScope};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::Changed;

/// A new token.
#[derive(Debug, Clone)]
pub struct NewPersonalToken {
    /// The owner.
    pub owner: UserId,
    /// The name by which the owner recognizes the token.
    pub name: String,
    /// The SHA-256 digest of the token.
    pub digest: [u8; 32],
    /// The scope of the token.
    pub scope: TokenScope,
    /// When the token expires.
    pub expires_at: Option<Timestamp>,
    /// The session of the owner in which the token is created.
    pub session: Option<i64>,
}

/// A valid personal token and its owner.
#[derive(Debug, Clone)]
pub struct TokenOwner {
    /// The owner.
    pub user: User,
    /// The id, by which the token is revoked.
    pub id: i64,
    /// The scope of the token.
    pub scope: TokenScope,
    /// When the token expires.
    pub expires_at: Option<Timestamp>,
}

/// Operations on personal tokens.
#[async_trait]
pub trait PersonalTokens {
    /// Creates a token; returns its id, or `None` if the session has ended.
    async fn create_personal_token(
        &self,
        new: &NewPersonalToken,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError>;

    /// Reads the tokens of a user, oldest first.
    async fn personal_tokens(&self, owner: UserId) -> Result<Vec<TokenInfo>, StoreError>;

    /// Deletes a token of a user and removes the workers that were registered with it; their tasks are
    /// requeued. Returns the workers, or `None` if the token doesn't exist.
    async fn revoke_personal_token(
        &self,
        owner: UserId,
        id: i64,
        now: Timestamp,
    ) -> Result<Changed<Option<Vec<Uuid>>>, StoreError>;

    /// Reads the owner and the scope of the token with this digest; none if it has expired.
    async fn owner_of_personal_token(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<TokenOwner>, StoreError>;
}
