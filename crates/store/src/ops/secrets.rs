//! Secrets of groups, encrypted by the coordinator: the store never sees a value.

use std::collections::HashMap;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_protocol::Timestamp;

use crate::StoreError;

/// The encrypted value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Identifies the key that encrypted it.
    pub key_id: String,
    /// The nonce and the ciphertext, in base64.
    pub sealed: String,
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// The name, which is unique in the group.
    pub name: String,
    /// Identifies the key that encrypted the value.
    pub key_id: String,
    /// The name of the user who set it.
    pub set_by: String,
    /// When the value was set.
    pub set_at: Timestamp,
}

/// Outcome of [`Secrets::set_secret`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretChange {
    /// The secret has the new value.
    Set,
    /// Refused: the group has as many secrets as it can have.
    TooMany,
    /// Refused: the user is not an Admin of the group.
    Denied,
}

/// Outcome of [`Secrets::remove_secret`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretRemoval {
    /// The secret does not exist any more.
    Removed,
    /// There is no such secret.
    Unknown,
    /// Refused: the user is not an Admin of the group.
    Denied,
}

/// Operations on secrets.
#[async_trait]
pub trait Secrets {
    /// Sets the value of a secret, and creates it if there is none. A group has at most `most` secrets.
    async fn set_secret(
        &self,
        by: UserId,
        group: GroupId,
        name: &str,
        value: &SealedSecret,
        most: u64,
        now: Timestamp,
    ) -> Result<SecretChange, StoreError>;

    /// Removes a secret, also if tasks that have not started use it.
    async fn remove_secret(
        &self,
        by: UserId,
        group: GroupId,
        name: &str,
    ) -> Result<SecretRemoval, StoreError>;

    /// Reads the secrets of a group, by name, without their values.
    async fn secrets(&self, group: GroupId) -> Result<Vec<StoredSecret>, StoreError>;

    /// Reads the encrypted values of secrets, by group and name. Secrets that don't exist are left out.
    async fn sealed_secrets(
        &self,
        names: &[(GroupId, String)],
    ) -> Result<HashMap<(GroupId, String), SealedSecret>, StoreError>;
}
