//! Reading of notifications.

use mitosis_domain::ids::JobId;
use mitosis_protocol::notify::{NotificationInfo, NotificationState};

use super::WebhookEnd;
use crate::StoreError;
use crate::db::{Db, Row, Sql, sql};
use crate::ops::webhooks::UndeliveredWebhooks;

const SENT: Sql = sql!(
    "
    SELECT origin, condition, attempts, next_attempt, outcome, last_error, ended_at
    FROM webhook WHERE job_id = $1 ORDER BY id"
);

const PLANNED: Sql = sql!(
    "
    SELECT n.origin, n.condition FROM job j INNER JOIN job_notify n ON n.job_id = j.id
    WHERE j.id = $1 AND j.ended_at IS NULL ORDER BY n.position"
);

/// The notifications of a job. After a retry, those of its next end follow those of the one before.
pub(super) async fn of_job(db: Db<'_>, job: JobId) -> Result<Vec<NotificationInfo>, StoreError> {
    let mut all: Vec<NotificationInfo> = db.all(SENT, &[&job.0], read_sent).await?;
    let planned: Vec<NotificationInfo> = db.all(PLANNED, &[&job.0], read_planned).await?;
    all.extend(planned);
    Ok(all)
}

fn read_sent(row: &Row<'_>) -> Result<NotificationInfo, StoreError> {
    let end = row.optional_code("outcome")?;
    Ok(NotificationInfo {
        state: match end {
            None => NotificationState::Waiting,
            Some(WebhookEnd::Delivered) => NotificationState::Delivered,
            Some(WebhookEnd::Failed) => NotificationState::Failed,
        },
        attempts: row.value::<i64>("attempts")?.unsigned_abs(),
        last_error: row.value("last_error")?,
        next_attempt_at: row.optional_time("next_attempt")?,
        ended_at: row.optional_time("ended_at")?,
        ..read_planned(row)?
    })
}

fn read_planned(row: &Row<'_>) -> Result<NotificationInfo, StoreError> {
    Ok(NotificationInfo {
        to: row.value("origin")?,
        on: row.code("condition")?,
        state: NotificationState::Planned,
        attempts: 0,
        last_error: None,
        next_attempt_at: None,
        ended_at: None,
    })
}

const UNDELIVERED: Sql = sql!(
    "
    SELECT coalesce(sum(CASE WHEN outcome IS NULL THEN 1 ELSE 0 END), 0)::bigint AS waiting,
           coalesce(sum(CASE WHEN outcome IS NULL AND last_error IS NOT NULL THEN 1 ELSE 0 END), 0)::bigint AS failing,
           coalesce(sum(CASE WHEN outcome = $1 THEN 1 ELSE 0 END), 0)::bigint AS failed,
           min(CASE WHEN outcome IS NULL THEN created_at END) AS oldest
    FROM webhook WHERE outcome IS NULL OR outcome = $1"
);

/// Counts what has not been accepted.
pub(super) async fn undelivered(db: Db<'_>) -> Result<UndeliveredWebhooks, StoreError> {
    use crate::enum_codes::Code as _;
    let count = |row: &Row<'_>, column| Ok::<_, StoreError>(row.value::<i64>(column)?.unsigned_abs());
    db.one(UNDELIVERED, &[&WebhookEnd::Failed.code()], |row| {
        Ok(UndeliveredWebhooks {
            waiting: count(row, "waiting")?,
            failing: count(row, "failing")?,
            failed: count(row, "failed")?,
            oldest: row.optional_time("oldest")?,
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_job() {
        assert_searches(SENT, &["webhook"]);
        assert_searches(PLANNED, &["j", "n"]);
    }
}
