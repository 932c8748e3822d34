//! User accounts.

use std::net::IpAddr;

use async_trait::async_trait;
use mitosis_domain::account::User;
use mitosis_domain::ids::UserId;
use mitosis_domain::name::Name;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::Timestamp;
use mitosis_protocol::admin::AccountState;
use uuid::Uuid;

use super::{Actor, Administered, Changed};
use crate::StoreError;

/// A new user, which is created together with the personal group.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name of the account and of the group.
    pub name: Name,
    /// The Argon2id PHC string of the password.
    pub password_hash: String,
    /// Whether the user is an administrator.
    pub admin: bool,
}

/// Outcome of [`Accounts::create_user`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserCreation {
    /// The account, its group and its Admin membership were created.
    Created(UserId),
    /// A user or group with this name exists.
    NameTaken,
    /// Refused: the actor is not an administrator any more.
    Denied,
}

/// Outcome of [`Accounts::bootstrap_admin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootstrap {
    /// The first administrator was created.
    Created(UserId),
    /// An earlier start created it; changed settings have no effect.
    AlreadyDone,
    /// Another user or group has this name, and was not changed.
    NameTaken,
}

/// The effect of a login on earlier tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionChange {
    /// Keep the current session, if there is one; otherwise start the given one.
    Retain(i64),
    /// Start the given session, which ends all earlier tokens.
    Replace(i64),
}

/// The effect of a password reset on the personal tokens of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRevocation {
    /// Keep them.
    Keep,
    /// Revoke them.
    Revoke,
}

/// Operations on user accounts.
#[async_trait]
pub trait Accounts {
    /// Creates an account, its personal group and its Admin membership in it.
    async fn create_user(
        &self,
        actor: Actor,
        new: &NewUser,
        now: Timestamp,
    ) -> Result<UserCreation, StoreError>;

    /// Creates the first administrator, once for each database (semantics §12). Several coordinators may do
    /// this at the same time.
    async fn bootstrap_admin(&self, new: &NewUser, now: Timestamp) -> Result<Bootstrap, StoreError>;

    /// Reads the account with this name, in any state.
    async fn user(&self, name: &str) -> Result<Option<User>, StoreError>;

    /// Records a login; returns the current session after it.
    async fn record_login(
        &self,
        user: UserId,
        change: SessionChange,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<i64, StoreError>;

    /// Ends all sessions of a user, if `session` is the current one. Personal tokens and workers stay. Returns whether
    /// it was.
    async fn end_sessions(&self, user: UserId, session: i64, now: Timestamp) -> Result<bool, StoreError>;

    /// Sets the password and starts the given session, which ends earlier tokens. Returns false if
    /// `proved_hash`, the hash of the password that the user has proved, is not the current one, or if the
    /// account doesn't exist.
    async fn set_password(
        &self,
        user: UserId,
        proved_hash: &str,
        password_hash: &str,
        session: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Sets the password on behalf of an administrator and starts the given session. It also removes the user's
    /// workers and requeues their tasks, and revokes the personal tokens if requested. Returns the
    /// workers.
    async fn reset_password(
        &self,
        actor: Actor,
        user: UserId,
        password_hash: &str,
        session: i64,
        tokens: TokenRevocation,
        now: Timestamp,
    ) -> Result<Changed<Administered<Vec<Uuid>>>, StoreError>;

    /// Sets the state of an account. Unless the new state is Active, it also removes the user's workers and
    /// requeues their tasks. Returns the workers.
    async fn set_account_state(
        &self,
        actor: Actor,
        name: &str,
        state: AccountState,
        now: Timestamp,
    ) -> Result<Changed<Administered<Vec<Uuid>>>, StoreError>;

    /// Changes the number of groups that a user may create; returns the new quota.
    async fn change_group_quota(
        &self,
        actor: Actor,
        name: &str,
        change: QuotaChange,
        now: Timestamp,
    ) -> Result<Administered<i32>, StoreError>;
}
