//! Due requests, and what came of them.

use mitosis_domain::ids::{GroupId, JobId};
use mitosis_protocol::Timestamp;

use super::WebhookEnd;
use crate::StoreError;
use crate::db::{Db, List, Params, Row, Sql, sql};
use crate::enum_codes::{Code, row_count};
use crate::ops::webhooks::{DueWebhook, TakenWebhook, WebhookOutcome};

const DUE: Sql = sql!(
    "
    SELECT id, origin FROM webhook
    WHERE next_attempt <= $1 AND NOT (origin = ANY($2))
    ORDER BY next_attempt, id LIMIT $3"
);

/// Due requests, the longest due first.
pub(super) async fn due(
    db: Db<'_>,
    now: Timestamp,
    without: &[String],
    limit: u64,
) -> Result<Vec<DueWebhook>, StoreError> {
    db.all(DUE, &[&now.unix_micros(), &List(without), &row_count(limit)], |row| {
        Ok(DueWebhook { id: row.value("id")?, origin: row.value("origin")? })
    })
    .await
}

/// Skips what another coordinator takes at the same time.
const TAKE: Sql = sql!(
    "
    UPDATE webhook SET attempts = attempts + 1, next_attempt = $3
    WHERE id IN (
        SELECT id FROM webhook WHERE id = ANY($1) AND next_attempt <= $2 ORDER BY id FOR UPDATE SKIP LOCKED)
    RETURNING id, job_id, group_id, url, origin, event, attempts, created_at"
);

/// Takes requests that are due.
pub(super) async fn take(
    db: Db<'_>,
    ids: &[i64],
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<TakenWebhook>, StoreError> {
    db.all(TAKE, &[&List(ids), &now.unix_micros(), &until.unix_micros()], read).await
}

fn read(row: &Row<'_>) -> Result<TakenWebhook, StoreError> {
    Ok(TakenWebhook {
        id: row.value("id")?,
        job: JobId(row.value("job_id")?),
        group: GroupId(row.value("group_id")?),
        url: row.value("url")?,
        origin: row.value("origin")?,
        event: row.value("event")?,
        attempt: row.value("attempts")?,
        created_at: row.time("created_at")?,
    })
}

const RECORD: Sql = sql!(
    "
    UPDATE webhook SET next_attempt = $3, outcome = $4, last_error = coalesce($5, last_error), ended_at = $6
    WHERE id = $1 AND attempts = $2 AND outcome IS NULL"
);

/// Records what came of an attempt, unless another one has begun.
pub(super) async fn record(
    db: Db<'_>,
    id: i64,
    attempt: i64,
    outcome: &WebhookOutcome,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (next, end, error) = match outcome {
        WebhookOutcome::Delivered => (None, Some(WebhookEnd::Delivered), None),
        WebhookOutcome::Failed { error, next: Some(next) } => (Some(*next), None, Some(error)),
        WebhookOutcome::Failed { error, next: None } => (None, Some(WebhookEnd::Failed), Some(error)),
    };
    let params: Params<'_> = &[
        &id,
        &attempt,
        &next.map(Timestamp::unix_micros),
        &end.map(Code::code),
        &error,
        &end.map(|_| now.unix_micros()),
    ];
    Ok(db.run(RECORD, params).await? == 1)
}

const DELETE: Sql = sql!(
    "
    DELETE FROM webhook WHERE id IN (
        SELECT id FROM webhook WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)"
);

/// Deletes old requests.
pub(super) async fn delete(db: Db<'_>, created_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    db.run(DELETE, &[&created_before.unix_micros(), &i64::from(limit)]).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_searches_due_requests() {
        assert_searches(DUE, &["webhook"]);
        assert_searches(TAKE, &["webhook", "webhook"]);
        assert_searches(DELETE, &["webhook", "webhook"]);
    }
}
