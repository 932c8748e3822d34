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

use super::{Administered, By};
use crate::StoreError;

/// A user to be made, together with the personal group.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Name of the account and of the group.
    pub name: Name,
    /// Argon2id PHC string.
    pub password_hash: String,
    /// Whether `/admin` is open to it.
    pub admin: bool,
}

/// Outcome of [`Accounts::create_user`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserCreation {
    /// The account, the group and the Admin membership exist now.
    Created(UserId),
    /// A user or group has that name.
    NameTaken,
    /// Nothing was done: who asked is no administrator any more.
    Denied,
}

/// Outcome of [`Accounts::bootstrap_admin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootstrap {
    /// The first administrator exists now.
    Created(UserId),
    /// It was done at an earlier start; settings given since then have no effect.
    AlreadyDone,
    /// A user or group of that name was there before; it was left alone.
    NameTaken,
}

/// What a login does to the tokens issued before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionChange {
    /// Keep the generation in force, if there is one; else start the given one.
    Retain(i64),
    /// Start the given one: all earlier tokens stop working.
    Replace(i64),
}

/// User accounts.
#[async_trait]
pub trait Accounts {
    /// Makes an account, its personal group and the Admin membership in it.
    async fn create_user(&self, by: By, new: &NewUser, now: Timestamp) -> Result<UserCreation, StoreError>;

    /// Makes the first administrator, once in the life of the database (semantics §12). Safe when
    /// several coordinators start at the same time.
    async fn bootstrap_admin(&self, new: &NewUser, now: Timestamp) -> Result<Bootstrap, StoreError>;

    /// The account of that name, whatever its state.
    async fn user(&self, name: &str) -> Result<Option<User>, StoreError>;

    /// Records a login and answers with the session in force after it.
    async fn record_login(
        &self,
        user: UserId,
        change: SessionChange,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<i64, StoreError>;

    /// Sets the password and starts the given session, so that earlier tokens stop working.
    /// False when the hash that the user has proved, `proved_hash`, is not in force any more, or the account is gone.
    async fn set_password(
        &self,
        user: UserId,
        proved_hash: &str,
        password_hash: &str,
        session: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The same on behalf of an administrator. It also ends the user's workers, which give back what they
    /// hold, and with `revoke_tokens` the personal tokens. Answers the workers.
    async fn reset_password(
        &self,
        by: By,
        user: UserId,
        password_hash: &str,
        session: i64,
        revoke_tokens: bool,
        now: Timestamp,
    ) -> Result<Administered<Vec<Uuid>>, StoreError>;

    /// Sets the state of an account. Unless that is Active, it also ends the user's workers, which give back what
    /// they hold. Answers the workers.
    async fn set_account_state(
        &self,
        by: By,
        name: &str,
        state: AccountState,
        now: Timestamp,
    ) -> Result<Administered<Vec<Uuid>>, StoreError>;

    /// Changes how many groups a user may create; answers the quota in force.
    async fn change_group_quota(
        &self,
        by: By,
        name: &str,
        change: QuotaChange,
        now: Timestamp,
    ) -> Result<Administered<i32>, StoreError>;
}
