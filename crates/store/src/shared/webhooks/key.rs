//! The keys that sign notifications.

use mitosis_domain::ids::GroupId;
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;

use super::super::rights;
use crate::StoreError;
use crate::db::{Db, Row, Sql, sql};
use crate::ops::Actor;
use crate::ops::webhooks::WebhookKey;

const GET: Sql = sql!(
    "
    INSERT INTO webhook_key (group_id, secret, created_at) VALUES ($1, $2, $3)
    ON CONFLICT (group_id) DO UPDATE SET group_id = excluded.group_id
    RETURNING secret, previous, created_at"
);

/// The key of a group, which is created if there is none.
pub(super) async fn get(
    db: Db<'_>,
    by: Actor,
    group: GroupId,
    proposal: &str,
    now: Timestamp,
) -> Result<Option<WebhookKey>, StoreError> {
    store(db, GET, by, group, proposal, now).await
}

const REPLACE: Sql = sql!(
    "
    INSERT INTO webhook_key (group_id, secret, created_at) VALUES ($1, $2, $3)
    ON CONFLICT (group_id) DO UPDATE
    SET previous = webhook_key.secret, secret = excluded.secret, created_at = excluded.created_at
    RETURNING secret, previous, created_at"
);

/// Replaces the key of a group.
pub(super) async fn replace(
    db: Db<'_>,
    by: Actor,
    group: GroupId,
    secret: &str,
    now: Timestamp,
) -> Result<Option<WebhookKey>, StoreError> {
    store(db, REPLACE, by, group, secret, now).await
}

async fn store(
    db: Db<'_>,
    statement: Sql,
    by: Actor,
    group: GroupId,
    secret: &str,
    now: Timestamp,
) -> Result<Option<WebhookKey>, StoreError> {
    if !rights::may(db, by, group, Action::ManageKeys).await? {
        return Ok(None);
    }
    db.one(statement, &[&group.0, &secret, &now.unix_micros()], read).await.map(Some)
}

fn read(row: &Row<'_>) -> Result<WebhookKey, StoreError> {
    Ok(WebhookKey {
        secret: row.value("secret")?,
        previous: row.value("previous")?,
        created_at: row.time("created_at")?,
    })
}
