//! Personal tokens.

use async_trait::async_trait;
use mitosis_domain::ids::UserId;
use mitosis_protocol::Timestamp;
use mitosis_protocol::tokens::TokenInfo;
use uuid::Uuid;

use super::accounts::read_user;
use super::workers::remove::{Registered, remove_all};
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, Params, Row, Sql, only, sql};
use crate::enum_codes::Code;
use crate::ops::Changed;
use crate::ops::personal_tokens::{NewPersonalToken, PersonalTokens, TokenOwner};

#[async_trait]
impl<B: Backend> PersonalTokens for B {
    async fn create_personal_token(
        &self,
        new: &NewPersonalToken,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        self.write_statement((new.clone(), now), |db, (new, now)| Box::pin(create(db, new, *now))).await
    }

    async fn personal_tokens(&self, owner: UserId) -> Result<Vec<TokenInfo>, StoreError> {
        self.read(owner, |db, owner| Box::pin(async move { db.all(OF_USER, &[&owner.0], read).await })).await
    }

    async fn revoke_personal_token(
        &self,
        owner: UserId,
        id: i64,
        now: Timestamp,
    ) -> Result<Changed<Option<Vec<Uuid>>>, StoreError> {
        self.write((owner, id, now), |db, (owner, id, now)| Box::pin(revoke(db, *owner, *id, *now))).await
    }

    async fn owner_of_personal_token(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<TokenOwner>, StoreError> {
        self.read((*digest, now), |db, (digest, now)| {
            Box::pin(async move {
                db.optional(OWNER, &[&digest.as_slice(), &now.unix_micros()], read_owner).await
            })
        })
        .await
    }
}

const INSERT: Sql = sql!(
    "
    INSERT INTO personal_token (user_id, name, digest, scope, created_at, expires_at)
    SELECT id, $2, $3, $4, $5, $6 FROM users WHERE id = $1 AND session IS NOT DISTINCT FROM $7 FOR SHARE
    RETURNING id"
);

async fn create(db: Db<'_>, new: &NewPersonalToken, now: Timestamp) -> Result<Option<i64>, StoreError> {
    let params: Params<'_> = &[
        &new.owner.0,
        &new.name,
        &new.digest.as_slice(),
        &new.scope.code(),
        &now.unix_micros(),
        &new.expires_at.map(Timestamp::unix_micros),
        &new.session,
    ];
    db.optional(INSERT, params, only).await
}

const OF_USER: Sql = sql!(
    "
    SELECT id, name, scope, created_at, expires_at FROM personal_token WHERE user_id = $1 ORDER BY id"
);

const REVOKE: Sql = sql!("DELETE FROM personal_token WHERE user_id = $1 AND id = $2");

/// Deletes the token first. A concurrent registration of a worker with the token holds its row, so its worker
/// is found afterwards.
async fn revoke(
    db: Db<'_>,
    owner: UserId,
    id: i64,
    now: Timestamp,
) -> Result<Changed<Option<Vec<Uuid>>>, StoreError> {
    if db.run(REVOKE, &[&owner.0, &id]).await? == 0 {
        return Ok(Changed::nothing(None));
    }
    Ok(remove_all(db, &Registered::With(id), now).await?.map(Some))
}

const OWNER: Sql = sql!(
    "
    SELECT u.id, u.username, u.password_hash, u.session, u.admin, u.state, u.group_quota, u.group_count,
           u.created_at, t.id AS token_id, t.scope, t.expires_at
    FROM personal_token t JOIN users u ON u.id = t.user_id
    WHERE t.digest = $1 AND (t.expires_at IS NULL OR t.expires_at > $2)"
);

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
