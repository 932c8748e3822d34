//! Personal tokens.

use async_trait::async_trait;
use mitosis_domain::ids::UserId;
use mitosis_protocol::Timestamp;
use mitosis_protocol::tokens::TokenInfo;
use rusqlite::{Row, params};
use uuid::Uuid;

use super::SqliteStore;
use super::accounts::read_user;
use super::row::{Columns, Run};
use super::workers::remove::{Registered, remove_all};
use crate::StoreError;
use crate::code::Code;
use crate::ops::personal_tokens::{NewPersonalToken, PersonalTokens, TokenOwner};

#[async_trait]
impl PersonalTokens for SqliteStore {
    async fn create_personal_token(
        &self,
        new: &NewPersonalToken,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let new = new.clone();
        self.write(move |db| {
            let expires_at = new.expires_at.map(Timestamp::unix_micros);
            let (scope, now) = (new.scope.code(), now.unix_micros());
            let params = params![new.owner.0, new.name, new.digest, scope, now, expires_at, new.session];
            db.optional(INSERT, params, |row| Ok(row.get(0)?))
        })
        .await
    }

    async fn personal_tokens(&self, owner: UserId) -> Result<Vec<TokenInfo>, StoreError> {
        self.read(move |db| db.all(OF_USER, [owner.0], read)).await
    }

    async fn revoke_personal_token(
        &self,
        owner: UserId,
        id: i64,
        now: Timestamp,
    ) -> Result<Option<Vec<Uuid>>, StoreError> {
        self.write(move |db| {
            if db.run(REVOKE, [owner.0, id])? == 0 {
                return Ok(None);
            }
            remove_all(db, &Registered::With(id), now).map(Some)
        })
        .await
    }

    async fn owner_of_personal_token(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<TokenOwner>, StoreError> {
        let digest = *digest;
        self.read(move |db| db.optional(OWNER, params![digest, now.unix_micros()], read_owner)).await
    }
}

const INSERT: &str = "
    INSERT INTO personal_token (user_id, name, digest, scope, created_at, expires_at)
    SELECT id, ?2, ?3, ?4, ?5, ?6 FROM users WHERE id = ?1 AND session IS ?7
    RETURNING id";

const OF_USER: &str = "
    SELECT id, name, scope, created_at, expires_at FROM personal_token WHERE user_id = ?1 ORDER BY id";

const REVOKE: &str = "DELETE FROM personal_token WHERE user_id = ?1 AND id = ?2";

const OWNER: &str = "
    SELECT u.id, u.username, u.password_hash, u.session, u.admin, u.state, u.group_quota, u.group_count,
           u.created_at, t.id AS token_id, t.scope, t.expires_at
    FROM personal_token t JOIN users u ON u.id = t.user_id
    WHERE t.digest = ?1 AND (t.expires_at IS NULL OR t.expires_at > ?2)";

fn read_owner(row: &Row<'_>) -> Result<TokenOwner, StoreError> {
    Ok(TokenOwner {
        user: read_user(row)?,
        id: row.value("token_id")?,
        scope: row.code("scope")?,
        expires_at: row.optional_time("expires_at")?,
    })
}

fn read(row: &Row<'_>) -> Result<TokenInfo, StoreError> {
    Ok(TokenInfo {
        id: row.value("id")?,
        name: row.value("name")?,
        scope: row.code("scope")?,
        created_at: row.time("created_at")?,
        expires_at: row.value::<Option<i64>>("expires_at")?.map(Timestamp::from_unix_micros),
    })
}
