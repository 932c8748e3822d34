//! Personal tokens. Only digests are stored.

use async_trait::async_trait;
use mitosis_domain::account::User;
use mitosis_domain::ids::UserId;
use mitosis_protocol::Timestamp;
use mitosis_protocol::tokens::{TokenInfo, TokenScope};
use uuid::Uuid;

use crate::StoreError;

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewPersonalToken {
    /// Whose it is.
    pub owner: UserId,
    /// By which the owner recognises it.
    pub name: String,
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// What it may be used for.
    pub scope: TokenScope,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The session of the owner in which it is made.
    pub session: Option<i64>,
}

/// A personal token that is in force, and its owner.
#[derive(Debug, Clone)]
pub struct TokenOwner {
    /// Whose it is.
    pub user: User,
    /// By which it is revoked.
    pub id: i64,
    /// What it may be used for.
    pub scope: TokenScope,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Personal tokens.
#[async_trait]
pub trait PersonalTokens {
    /// Makes a token; answers its id, or `None` when the session has ended.
    async fn create_personal_token(
        &self,
        new: &NewPersonalToken,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError>;

    /// The tokens of a user, oldest first.
    async fn personal_tokens(&self, owner: UserId) -> Result<Vec<TokenInfo>, StoreError>;

    /// Removes a token of a user, and the workers that were registered with it, which give back what they
    /// hold. Answers these, or `None` when there is no token of that id.
    async fn revoke_personal_token(
        &self,
        owner: UserId,
        id: i64,
        now: Timestamp,
    ) -> Result<Option<Vec<Uuid>>, StoreError>;

    /// Who owns the token of that digest, and what it may be used for; nobody once it has ended.
    async fn owner_of_personal_token(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<TokenOwner>, StoreError>;
}
