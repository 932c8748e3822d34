//! Personal tokens.

use async_trait::async_trait;
use mitosis_domain::ids::UserId;
use mitosis_protocol::Timestamp;
use mitosis_protocol::tokens::TokenInfo;
use tokio_postgres::Row;
use uuid::Uuid;

use super::accounts::read_user;
use super::row::{self, Columns, Db};
use super::workers::remove::{Registered, remove_all};
use super::{PostgresStore, write};
use crate::StoreError;
use crate::code::Code;
use crate::ops::personal_tokens::{NewPersonalToken, PersonalTokens, TokenOwner};

#[async_trait]
impl PersonalTokens for PostgresStore {
    async fn create_personal_token(
        &self,
        new: &NewPersonalToken,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let params: row::Params<'_> = &[
            &new.owner.0,
            &new.name,
            &new.digest.as_slice(),
            &new.scope.code(),
            &now.unix_micros(),
            &new.expires_at.map(Timestamp::unix_micros),
            &new.session,
        ];
        row::optional(&self.client().await?, INSERT, params, row::only).await
    }

    async fn personal_tokens(&self, owner: UserId) -> Result<Vec<TokenInfo>, StoreError> {
        row::all(&self.client().await?, OF_USER, &[&owner.0], read).await
    }

    async fn revoke_personal_token(
        &self,
        owner: UserId,
        id: i64,
        now: Timestamp,
    ) -> Result<Option<Vec<Uuid>>, StoreError> {
        write!(self, tx => revoke(tx, owner, id, now))
    }

    async fn owner_of_personal_token(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<TokenOwner>, StoreError> {
        let params: row::Params<'_> = &[&digest.as_slice(), &now.unix_micros()];
        row::optional(&self.client().await?, OWNER, params, read_owner).await
    }
}

const INSERT: &str = "
    INSERT INTO personal_token (user_id, name, digest, scope, created_at, expires_at)
    SELECT id, $2, $3, $4, $5, $6 FROM users WHERE id = $1 AND session IS NOT DISTINCT FROM $7 FOR SHARE
    RETURNING id";

const OF_USER: &str = "
    SELECT id, name, scope, created_at, expires_at FROM personal_token WHERE user_id = $1 ORDER BY id";

const REVOKE: &str = "DELETE FROM personal_token WHERE user_id = $1 AND id = $2";

/// A worker that is registered with the token right now holds its row, and is seen by what follows.
async fn revoke(
    tx: &impl Db,
    owner: UserId,
    id: i64,
    now: Timestamp,
) -> Result<Option<Vec<Uuid>>, StoreError> {
    if row::run(tx, REVOKE, &[&owner.0, &id]).await? == 0 {
        return Ok(None);
    }
    remove_all(tx, &Registered::With(id), now).await.map(Some)
}

const OWNER: &str = "
    SELECT u.id, u.username, u.password_hash, u.session, u.admin, u.state, u.group_quota, u.group_count,
           u.created_at, t.id AS token_id, t.scope, t.expires_at
    FROM personal_token t JOIN users u ON u.id = t.user_id
    WHERE t.digest = $1 AND (t.expires_at IS NULL OR t.expires_at > $2)";

fn read_owner(row: &Row) -> Result<TokenOwner, StoreError> {
    Ok(TokenOwner {
        user: read_user(row)?,
        id: row.value("token_id")?,
        scope: row.code("scope")?,
        expires_at: row.optional_time("expires_at")?,
    })
}

fn read(row: &Row) -> Result<TokenInfo, StoreError> {
    Ok(TokenInfo {
        id: row.value("id")?,
        name: row.value("name")?,
        scope: row.code("scope")?,
        created_at: row.time("created_at")?,
        expires_at: row.value::<Option<i64>>("expires_at")?.map(Timestamp::from_unix_micros),
    })
}
