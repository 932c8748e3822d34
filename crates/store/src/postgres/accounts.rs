//! User accounts.

use std::net::IpAddr;

use async_trait::async_trait;
use mitosis_domain::account::User;
use mitosis_domain::ids::UserId;
use mitosis_domain::limits;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{Role, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use super::groups::{ADD_MEMBER, insert_group};
use super::row::{self, Columns, Db};
use super::workers::remove::{Registered, remove_all};
use super::{PostgresStore, write};
use crate::StoreError;
use crate::code::Code;
use crate::ops::accounts::{Accounts, Bootstrap, NewUser, SessionChange, UserCreation};

#[async_trait]
impl Accounts for PostgresStore {
    async fn create_user(&self, new: &NewUser, now: Timestamp) -> Result<UserCreation, StoreError> {
        write!(self, tx => create_user(tx, new, now))
    }

    async fn bootstrap_admin(&self, new: &NewUser, now: Timestamp) -> Result<Bootstrap, StoreError> {
        write!(self, tx => bootstrap_admin(tx, new, now))
    }

    async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        row::optional(&self.client().await?, USER_BY_NAME, &[&name], read_user).await
    }

    async fn record_login(
        &self,
        user: UserId,
        change: SessionChange,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        let (retain, session) = match change {
            SessionChange::Retain(session) => (true, session),
            SessionChange::Replace(session) => (false, session),
        };
        let peer = peer.map(|address| address.to_string());
        let params: row::Params<'_> = &[&user.0, &retain, &session, &now.unix_micros(), &peer];
        row::one(&self.client().await?, NOTE_LOGIN, params, row::only).await
    }

    async fn set_password(
        &self,
        user: UserId,
        proved_hash: &str,
        password_hash: &str,
        session: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let params: row::Params<'_> = &[&user.0, &password_hash, &session, &now.unix_micros(), &proved_hash];
        Ok(row::run(&self.client().await?, CHANGE_PASSWORD, params).await? == 1)
    }

    async fn reset_password(
        &self,
        user: UserId,
        password_hash: &str,
        session: i64,
        revoke_tokens: bool,
        now: Timestamp,
    ) -> Result<Option<Vec<Uuid>>, StoreError> {
        write!(self, tx => reset_password(tx, user, password_hash, session, revoke_tokens, now))
    }

    async fn set_account_state(
        &self,
        name: &str,
        state: AccountState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let params: row::Params<'_> = &[&name, &state.code(), &now.unix_micros()];
        Ok(row::run(&self.client().await?, SET_STATE, params).await? == 1)
    }

    async fn change_group_quota(
        &self,
        name: &str,
        change: QuotaChange,
        now: Timestamp,
    ) -> Result<Option<i32>, StoreError> {
        write!(self, tx => change_group_quota(tx, name, change, now))
    }
}

const USER_BY_NAME: &str = "
    SELECT id, username, password_hash, session, admin, state, group_quota, group_count, created_at
    FROM users WHERE username = $1";

/// A row with the columns of a user.
pub(super) fn read_user(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: UserId(row.value("id")?),
        name: row.value("username")?,
        password_hash: row.value("password_hash")?,
        session: row.value("session")?,
        admin: row.value("admin")?,
        state: row.code("state")?,
        group_quota: row.value("group_quota")?,
        group_count: row.value("group_count")?,
        created_at: row.time("created_at")?,
    })
}

/// Whoever wants to give a name waits for others that want to give the same.
const RESERVE_NAME: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 1))";

/// Every user has a group of that name, so this looks at both.
const NAME_IS_TAKEN: &str = "SELECT EXISTS (SELECT 1 FROM groups WHERE name = $1)";

/// Whether the name is taken; if not, nobody else takes it before the end of the transaction.
pub(super) async fn name_is_taken(tx: &impl Db, name: &str) -> Result<bool, StoreError> {
    row::one(tx, RESERVE_NAME, &[&name], |_| Ok(())).await?;
    row::one(tx, NAME_IS_TAKEN, &[&name], row::only).await
}

/// The personal group counts.
const INSERT_USER: &str = "
    INSERT INTO users (username, password_hash, admin, state, group_quota, group_count, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, 1, $6, $6)
    RETURNING id";

async fn create_user(tx: &impl Db, new: &NewUser, now: Timestamp) -> Result<UserCreation, StoreError> {
    if name_is_taken(tx, new.name.as_str()).await? {
        return Ok(UserCreation::NameTaken);
    }
    let params: row::Params<'_> = &[
        &new.name.as_str(),
        &new.password_hash,
        &new.admin,
        &AccountState::Active.code(),
        &limits::DEFAULT_GROUP_QUOTA,
        &now.unix_micros(),
    ];
    let user = UserId(row::one(tx, INSERT_USER, params, row::only).await?);
    let group = insert_group(tx, user, &new.name, now).await?;
    row::run_one(tx, ADD_MEMBER, &[&user.0, &group.0, &Role::Admin.code()]).await?;
    Ok(UserCreation::Created(user))
}

/// Two coordinators that start together make one administrator.
const TAKE_TURNS: &str = "LOCK TABLE bootstrap IN SHARE ROW EXCLUSIVE MODE";

const BOOTSTRAP_IS_DONE: &str = "SELECT EXISTS (SELECT 1 FROM bootstrap)";

const NOTE_BOOTSTRAP: &str = "INSERT INTO bootstrap (id, done_at) VALUES (1, $1)";

async fn bootstrap_admin(tx: &impl Db, new: &NewUser, now: Timestamp) -> Result<Bootstrap, StoreError> {
    row::run(tx, TAKE_TURNS, &[]).await?;
    if row::one(tx, BOOTSTRAP_IS_DONE, &[], row::only).await? {
        return Ok(Bootstrap::AlreadyDone);
    }
    match create_user(tx, new, now).await? {
        UserCreation::NameTaken => Ok(Bootstrap::NameTaken),
        UserCreation::Created(user) => {
            row::run_one(tx, NOTE_BOOTSTRAP, &[&now.unix_micros()]).await?;
            Ok(Bootstrap::Created(user))
        }
    }
}

const NOTE_LOGIN: &str = "
    UPDATE users SET
        session = CASE WHEN $2 THEN coalesce(session, $3) ELSE $3 END,  -- $2: keep the one in force
        last_sign_in_at = current_sign_in_at,
        last_sign_in_ip = current_sign_in_ip,
        current_sign_in_at = $4,
        current_sign_in_ip = $5
    WHERE id = $1
    RETURNING session";

const SET_PASSWORD: &str = "
    UPDATE users SET password_hash = $2, session = $3, updated_at = $4 WHERE id = $1";

const CHANGE_PASSWORD: &str = "
    UPDATE users SET password_hash = $2, session = $3, updated_at = $4 WHERE id = $1 AND password_hash = $5";

const REVOKE_TOKENS: &str = "DELETE FROM personal_token WHERE user_id = $1";

/// The user first: a worker that is registered right now with the session or a token of before holds the row,
/// and is seen by what follows.
async fn reset_password(
    tx: &impl Db,
    user: UserId,
    password_hash: &str,
    session: i64,
    revoke_tokens: bool,
    now: Timestamp,
) -> Result<Option<Vec<Uuid>>, StoreError> {
    let params: row::Params<'_> = &[&user.0, &password_hash, &session, &now.unix_micros()];
    if row::run(tx, SET_PASSWORD, params).await? == 0 {
        return Ok(None);
    }
    if revoke_tokens {
        row::run(tx, REVOKE_TOKENS, &[&user.0]).await?;
    }
    remove_all(tx, &Registered::By(user), now).await.map(Some)
}

const SET_STATE: &str = "UPDATE users SET state = $2, updated_at = $3 WHERE username = $1";

const GROUP_QUOTA: &str = "SELECT group_quota FROM users WHERE username = $1 FOR UPDATE";

const SET_GROUP_QUOTA: &str = "UPDATE users SET group_quota = $2, updated_at = $3 WHERE username = $1";

async fn change_group_quota(
    tx: &impl Db,
    name: &str,
    change: QuotaChange,
    now: Timestamp,
) -> Result<Option<i32>, StoreError> {
    let Some(current) = row::optional(tx, GROUP_QUOTA, &[&name], row::only::<i32>).await? else {
        return Ok(None);
    };
    let quota = change.apply(current.into(), i32::MAX.into());
    let quota = i32::try_from(quota).expect("kept within 32 bits");
    row::run_one(tx, SET_GROUP_QUOTA, &[&name, &quota, &now.unix_micros()]).await?;
    Ok(Some(quota))
}
