//! User accounts.

use std::net::IpAddr;

use async_trait::async_trait;
use mitosis_domain::account::User;
use mitosis_domain::ids::UserId;
use mitosis_domain::limits;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{Role, Timestamp};
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::SqliteStore;
use super::groups::insert_group;
use super::row::{Columns, Run};
use super::workers::remove::{Registered, remove_all};
use crate::StoreError;
use crate::code::Code;
use crate::ops::accounts::{Accounts, Bootstrap, NewUser, SessionChange, UserCreation};

#[async_trait]
impl Accounts for SqliteStore {
    async fn create_user(&self, new: &NewUser, now: Timestamp) -> Result<UserCreation, StoreError> {
        let new = new.clone();
        self.write(move |db| create_user(db, &new, now)).await
    }

    async fn bootstrap_admin(&self, new: &NewUser, now: Timestamp) -> Result<Bootstrap, StoreError> {
        let new = new.clone();
        self.write(move |db| bootstrap_admin(db, &new, now)).await
    }

    async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        let name = name.to_owned();
        self.read(move |db| db.optional(USER_BY_NAME, [name], read_user)).await
    }

    async fn record_login(
        &self,
        user: UserId,
        change: SessionChange,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        self.write(move |db| record_login(db, user, change, peer, now)).await
    }

    async fn set_password(
        &self,
        user: UserId,
        proved_hash: &str,
        password_hash: &str,
        session: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (proved_hash, password_hash) = (proved_hash.to_owned(), password_hash.to_owned());
        self.write(move |db| {
            let params = params![user.0, password_hash, session, now.unix_micros(), proved_hash];
            Ok(db.run(CHANGE_PASSWORD, params)? == 1)
        })
        .await
    }

    async fn reset_password(
        &self,
        user: UserId,
        password_hash: &str,
        session: i64,
        revoke_tokens: bool,
        now: Timestamp,
    ) -> Result<Option<Vec<Uuid>>, StoreError> {
        let password_hash = password_hash.to_owned();
        self.write(move |db| reset_password(db, user, &password_hash, session, revoke_tokens, now)).await
    }

    async fn set_account_state(
        &self,
        name: &str,
        state: AccountState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(move |db| Ok(db.run(SET_STATE, params![name, state.code(), now.unix_micros()])? == 1))
            .await
    }

    async fn change_group_quota(
        &self,
        name: &str,
        change: QuotaChange,
        now: Timestamp,
    ) -> Result<Option<i32>, StoreError> {
        let name = name.to_owned();
        self.write(move |db| change_group_quota(db, &name, change, now)).await
    }
}

const USER_BY_NAME: &str = "
    SELECT id, username, password_hash, session, admin, state, group_quota, group_count, created_at
    FROM users WHERE username = ?1";

/// A row with the columns of a user.
pub(super) fn read_user(row: &Row<'_>) -> Result<User, StoreError> {
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

/// Every user has a group of that name, so this looks at both.
const NAME_IS_TAKEN: &str = "SELECT EXISTS (SELECT 1 FROM groups WHERE name = ?1)";

pub(super) fn name_is_taken(db: &Connection, name: &str) -> Result<bool, StoreError> {
    db.one(NAME_IS_TAKEN, [name], |row| Ok(row.get(0)?))
}

/// The personal group counts.
const INSERT_USER: &str = "
    INSERT INTO users (username, password_hash, admin, state, group_quota, group_count, created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6)";

const INSERT_MEMBER: &str = "INSERT INTO membership (user_id, group_id, role) VALUES (?1, ?2, ?3)";

fn create_user(db: &Connection, new: &NewUser, now: Timestamp) -> Result<UserCreation, StoreError> {
    if name_is_taken(db, new.name.as_str())? {
        return Ok(UserCreation::NameTaken);
    }
    let user = UserId(db.insert(
        INSERT_USER,
        params![
            new.name.as_str(),
            new.password_hash,
            new.admin,
            AccountState::Active.code(),
            limits::DEFAULT_GROUP_QUOTA,
            now.unix_micros()
        ],
    )?);
    let group = insert_group(db, user, &new.name, now)?;
    db.run_one(INSERT_MEMBER, params![user.0, group.0, Role::Admin.code()])?;
    Ok(UserCreation::Created(user))
}

const BOOTSTRAP_IS_DONE: &str = "SELECT EXISTS (SELECT 1 FROM bootstrap)";

const NOTE_BOOTSTRAP: &str = "INSERT INTO bootstrap (id, done_at) VALUES (1, ?1)";

fn bootstrap_admin(db: &Connection, new: &NewUser, now: Timestamp) -> Result<Bootstrap, StoreError> {
    if db.one(BOOTSTRAP_IS_DONE, [], |row| Ok(row.get(0)?))? {
        return Ok(Bootstrap::AlreadyDone);
    }
    match create_user(db, new, now)? {
        UserCreation::NameTaken => Ok(Bootstrap::NameTaken),
        UserCreation::Created(user) => {
            db.run_one(NOTE_BOOTSTRAP, [now.unix_micros()])?;
            Ok(Bootstrap::Created(user))
        }
    }
}

const NOTE_LOGIN: &str = "
    UPDATE users SET
        session = CASE WHEN ?2 THEN coalesce(session, ?3) ELSE ?3 END,  -- ?2: keep the one in force
        last_sign_in_at = current_sign_in_at,
        last_sign_in_ip = current_sign_in_ip,
        current_sign_in_at = ?4,
        current_sign_in_ip = ?5
    WHERE id = ?1
    RETURNING session";

fn record_login(
    db: &Connection,
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
    db.one(NOTE_LOGIN, params![user.0, retain, session, now.unix_micros(), peer], |row| Ok(row.get(0)?))
}

const SET_PASSWORD: &str = "
    UPDATE users SET password_hash = ?2, session = ?3, updated_at = ?4 WHERE id = ?1";

const CHANGE_PASSWORD: &str = "
    UPDATE users SET password_hash = ?2, session = ?3, updated_at = ?4 WHERE id = ?1 AND password_hash = ?5";

const REVOKE_TOKENS: &str = "DELETE FROM personal_token WHERE user_id = ?1";

fn reset_password(
    db: &Connection,
    user: UserId,
    password_hash: &str,
    session: i64,
    revoke_tokens: bool,
    now: Timestamp,
) -> Result<Option<Vec<Uuid>>, StoreError> {
    if db.run(SET_PASSWORD, params![user.0, password_hash, session, now.unix_micros()])? == 0 {
        return Ok(None);
    }
    if revoke_tokens {
        db.run(REVOKE_TOKENS, [user.0])?;
    }
    remove_all(db, &Registered::By(user), now).map(Some)
}

const SET_STATE: &str = "UPDATE users SET state = ?2, updated_at = ?3 WHERE username = ?1";

const GROUP_QUOTA: &str = "SELECT group_quota FROM users WHERE username = ?1";

const SET_GROUP_QUOTA: &str = "UPDATE users SET group_quota = ?2, updated_at = ?3 WHERE username = ?1";

fn change_group_quota(
    db: &Connection,
    name: &str,
    change: QuotaChange,
    now: Timestamp,
) -> Result<Option<i32>, StoreError> {
    let Some(current) = db.optional(GROUP_QUOTA, [name], |row| Ok(row.get::<_, i32>(0)?))? else {
        return Ok(None);
    };
    let quota = change.apply(current.into(), i32::MAX.into());
    db.run_one(SET_GROUP_QUOTA, params![name, quota, now.unix_micros()])?;
    Ok(Some(i32::try_from(quota).expect("kept within 32 bits")))
}
