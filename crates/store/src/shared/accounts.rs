//! User accounts.

use std::net::IpAddr;

use async_trait::async_trait;
use mitosis_domain::account::User;
use mitosis_domain::ids::UserId;
use mitosis_domain::limits;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{Role, Timestamp};
use uuid::Uuid;

use super::groups::{ADD_MEMBER, insert_group};
use super::rights;
use super::workers::remove::{Registered, remove_all};
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, Params, Row, Sql, only, sql};
use crate::enum_codes::Code;
use crate::ops::accounts::{Accounts, Bootstrap, NewUser, SessionChange, TokenRevocation, UserCreation};
use crate::ops::{Actor, Administered, Changed, Effects};

#[async_trait]
impl<B: Backend> Accounts for B {
    async fn create_user(
        &self,
        actor: Actor,
        new: &NewUser,
        now: Timestamp,
    ) -> Result<UserCreation, StoreError> {
        self.write((actor, new.clone(), now), |db, (actor, new, now)| {
            Box::pin(async move {
                match rights::is_administrator(db, *actor).await? {
                    true => create_user(db, new, *now).await,
                    false => Ok(UserCreation::Denied),
                }
            })
        })
        .await
    }

    async fn bootstrap_admin(&self, new: &NewUser, now: Timestamp) -> Result<Bootstrap, StoreError> {
        self.write((new.clone(), now), |db, (new, now)| Box::pin(bootstrap_admin(db, new, *now))).await
    }

    async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.read(name.to_owned(), |db, name| {
            Box::pin(async move { db.optional(USER_BY_NAME, &[name], read_user).await })
        })
        .await
    }

    async fn record_login(
        &self,
        user: UserId,
        change: SessionChange,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        self.write_statement((user, change, peer, now), |db, (user, change, peer, now)| {
            Box::pin(record_login(db, *user, *change, *peer, *now))
        })
        .await
    }

    async fn end_sessions(&self, user: UserId, session: i64, now: Timestamp) -> Result<bool, StoreError> {
        self.write_statement((user, session, now), |db, (user, session, now)| {
            Box::pin(end_sessions(db, *user, *session, *now))
        })
        .await
    }

    async fn set_password(
        &self,
        user: UserId,
        proved_hash: &str,
        password_hash: &str,
        session: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let hashes = [proved_hash, password_hash].map(str::to_owned);
        self.write_statement((user, hashes, session, now), |db, (user, hashes, session, now)| {
            Box::pin(change_password(db, *user, hashes, *session, *now))
        })
        .await
    }

    async fn reset_password(
        &self,
        actor: Actor,
        user: UserId,
        password_hash: &str,
        session: i64,
        tokens: TokenRevocation,
        now: Timestamp,
    ) -> Result<Changed<Administered<Vec<Uuid>>>, StoreError> {
        self.write(
            (actor, user, password_hash.to_owned(), session, tokens, now),
            |db, (actor, user, password_hash, session, tokens, now)| {
                let operation = reset_password(db, *user, password_hash, *session, *tokens, *now);
                Box::pin(administered_change(db, *actor, operation))
            },
        )
        .await
    }

    async fn set_account_state(
        &self,
        actor: Actor,
        name: &str,
        state: AccountState,
        now: Timestamp,
    ) -> Result<Changed<Administered<Vec<Uuid>>>, StoreError> {
        self.write((actor, name.to_owned(), state, now), |db, (actor, name, state, now)| {
            Box::pin(administered_change(db, *actor, set_state(db, name, *state, *now)))
        })
        .await
    }

    async fn change_group_quota(
        &self,
        actor: Actor,
        name: &str,
        change: QuotaChange,
        now: Timestamp,
    ) -> Result<Administered<i32>, StoreError> {
        self.write((actor, name.to_owned(), change, now), |db, (actor, name, change, now)| {
            Box::pin(administered(db, *actor, change_group_quota(db, name, *change, *now)))
        })
        .await
    }
}

/// Runs an operation that only administrators may perform. It returns nothing if its object does not exist.
pub(super) async fn administered<T>(
    db: Db<'_>,
    actor: Actor,
    operation: impl Future<Output = Result<Option<T>, StoreError>>,
) -> Result<Administered<T>, StoreError> {
    if !rights::is_administrator(db, actor).await? {
        return Ok(Administered::Denied);
    }
    Ok(operation.await?.map_or(Administered::Unknown, Administered::Done))
}

/// Like [`administered`], for an operation with effects.
async fn administered_change<T>(
    db: Db<'_>,
    actor: Actor,
    operation: impl Future<Output = Result<Option<Changed<T>>, StoreError>>,
) -> Result<Changed<Administered<T>>, StoreError> {
    Ok(match administered(db, actor, operation).await? {
        Administered::Done(changed) => changed.map(Administered::Done),
        Administered::Unknown => Changed::nothing(Administered::Unknown),
        Administered::Denied => Changed::nothing(Administered::Denied),
    })
}

const USER_BY_NAME: Sql = sql!(
    "
    SELECT id, username, password_hash, session, admin, state, group_quota, group_count, created_at
    FROM users WHERE username = $1"
);

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

/// Waits for concurrent transactions that assign the same name.
const RESERVE_NAME: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 1))";

/// Every user has a group of that name, so it finds both.
const NAME_IS_TAKEN: Sql = sql!("SELECT EXISTS (SELECT 1 FROM groups WHERE name = $1)");

/// Returns whether the name is taken. If not, no other transaction can take it before the end of this one.
pub(super) async fn name_is_taken(db: Db<'_>, name: &str) -> Result<bool, StoreError> {
    db.lock(RESERVE_NAME, &[&name]).await?;
    db.one(NAME_IS_TAKEN, &[&name], only).await
}

/// The personal group counts towards the quota.
const INSERT_USER: Sql = sql!("
    INSERT INTO users (username, password_hash, admin, state, group_quota, group_count, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, 1, $6, $6)
    RETURNING id");

async fn create_user(db: Db<'_>, new: &NewUser, now: Timestamp) -> Result<UserCreation, StoreError> {
    if name_is_taken(db, new.name.as_str()).await? {
        return Ok(UserCreation::NameTaken);
    }
    let params: Params<'_> = &[
        &new.name.as_str(),
        &new.password_hash,
        &new.admin,
        &AccountState::Active.code(),
        &limits::DEFAULT_GROUP_QUOTA,
        &now.unix_micros(),
    ];
    let user = UserId(db.one(INSERT_USER, params, only).await?);
    let group = insert_group(db, user, &new.name, now).await?;
    db.run_one(ADD_MEMBER, &[&user.0, &group.0, &Role::Admin.code()]).await?;
    Ok(UserCreation::Created(user))
}

/// Serializes coordinators that start at the same time, so that they create one administrator.
const SERIALIZE: &str = "LOCK TABLE bootstrap IN SHARE ROW EXCLUSIVE MODE";

const BOOTSTRAP_IS_DONE: Sql = sql!("SELECT EXISTS (SELECT 1 FROM bootstrap)");

const RECORD_BOOTSTRAP: Sql = sql!("INSERT INTO bootstrap (id, done_at) VALUES (1, $1)");

async fn bootstrap_admin(db: Db<'_>, new: &NewUser, now: Timestamp) -> Result<Bootstrap, StoreError> {
    db.lock(SERIALIZE, &[]).await?;
    if db.one(BOOTSTRAP_IS_DONE, &[], only).await? {
        return Ok(Bootstrap::AlreadyDone);
    }
    match create_user(db, new, now).await? {
        UserCreation::NameTaken => Ok(Bootstrap::NameTaken),
        UserCreation::Denied => unreachable!("the bootstrap needs no rights"),
        UserCreation::Created(user) => {
            db.run_one(RECORD_BOOTSTRAP, &[&now.unix_micros()]).await?;
            Ok(Bootstrap::Created(user))
        }
    }
}

const RECORD_LOGIN: Sql = sql!(
    "
    UPDATE users SET
        session = CASE WHEN $2 THEN coalesce(session, $3) ELSE $3 END,  -- $2: keep the one in force
        last_sign_in_at = current_sign_in_at,
        last_sign_in_ip = current_sign_in_ip,
        current_sign_in_at = $4,
        current_sign_in_ip = $5
    WHERE id = $1
    RETURNING session"
);

async fn record_login(
    db: Db<'_>,
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
    db.one(RECORD_LOGIN, &[&user.0, &retain, &session, &now.unix_micros(), &peer], only).await
}

const END_SESSIONS: Sql =
    sql!("UPDATE users SET session = NULL, updated_at = $3 WHERE id = $1 AND session = $2");

async fn end_sessions(db: Db<'_>, user: UserId, session: i64, now: Timestamp) -> Result<bool, StoreError> {
    Ok(db.run(END_SESSIONS, &[&user.0, &session, &now.unix_micros()]).await? == 1)
}

const SET_PASSWORD: Sql = sql!(
    "
    UPDATE users SET password_hash = $2, session = $3, updated_at = $4 WHERE id = $1"
);

const CHANGE_PASSWORD: Sql = sql!(
    "
    UPDATE users SET password_hash = $2, session = $3, updated_at = $4 WHERE id = $1 AND password_hash = $5"
);

async fn change_password(
    db: Db<'_>,
    user: UserId,
    [proved_hash, password_hash]: &[String; 2],
    session: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let params: Params<'_> = &[&user.0, password_hash, &session, &now.unix_micros(), proved_hash];
    Ok(db.run(CHANGE_PASSWORD, params).await? == 1)
}

const REVOKE_TOKENS: Sql = sql!("DELETE FROM personal_token WHERE user_id = $1");

/// Updates the user first. A concurrent registration of a worker with the old session or token holds that row,
/// so its worker is found afterwards.
async fn reset_password(
    db: Db<'_>,
    user: UserId,
    password_hash: &str,
    session: i64,
    tokens: TokenRevocation,
    now: Timestamp,
) -> Result<Option<Changed<Vec<Uuid>>>, StoreError> {
    let params: Params<'_> = &[&user.0, &password_hash, &session, &now.unix_micros()];
    if db.run(SET_PASSWORD, params).await? == 0 {
        return Ok(None);
    }
    if tokens == TokenRevocation::Revoke {
        db.run(REVOKE_TOKENS, &[&user.0]).await?;
    }
    remove_all(db, &Registered::By(user), now).await.map(Some)
}

const SET_STATE: Sql = sql!("UPDATE users SET state = $2, updated_at = $3 WHERE username = $1 RETURNING id");

async fn set_state(
    db: Db<'_>,
    name: &str,
    state: AccountState,
    now: Timestamp,
) -> Result<Option<Changed<Vec<Uuid>>>, StoreError> {
    let changed = db.optional(SET_STATE, &[&name, &state.code(), &now.unix_micros()], only).await?;
    let Some(user) = changed.map(UserId) else { return Ok(None) };
    match state {
        AccountState::Active => Ok(Some(Effects::ready().with(Vec::new()))),
        AccountState::Locked | AccountState::Deleted => {
            remove_all(db, &Registered::By(user), now).await.map(Some)
        }
    }
}

const GROUP_QUOTA: Sql = sql!("SELECT group_quota FROM users WHERE username = $1 FOR UPDATE");

const SET_GROUP_QUOTA: Sql = sql!("UPDATE users SET group_quota = $2, updated_at = $3 WHERE username = $1");

async fn change_group_quota(
    db: Db<'_>,
    name: &str,
    change: QuotaChange,
    now: Timestamp,
) -> Result<Option<i32>, StoreError> {
    let Some(current) = db.optional(GROUP_QUOTA, &[&name], only::<i32>).await? else {
        return Ok(None);
    };
    let quota = change.apply(current.into(), i32::MAX.into());
    let quota = i32::try_from(quota).expect("kept within 32 bits");
    db.run_one(SET_GROUP_QUOTA, &[&name, &quota, &now.unix_micros()]).await?;
    Ok(Some(quota))
}
