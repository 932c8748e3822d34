//! Reads the attempts that workers hold.

use std::collections::HashMap;

use mitosis_domain::ids::{TaskId, WorkerId};
use mitosis_protocol::Epoch;
use mitosis_protocol::admin::AccountState;

use crate::StoreError;
use crate::db::{Db, List, Row, Sql, sql};
use crate::enum_codes::Code;
use crate::ops::workers::{HeldAttempt, HeldAttempts};

const HELD_ATTEMPTS: Sql = sql!(
    "
    SELECT w.id, w.state, l.task_id, l.epoch, l.claimed_at, l.stop_asked
    FROM worker w
    INNER JOIN users u ON u.id = w.creator_id AND u.state = $2
    LEFT JOIN lease l ON l.worker_id = w.id
    WHERE w.id = ANY($1)
    ORDER BY l.claimed_at, l.task_id"
);

/// The held attempts of the workers that are registered.
pub(super) async fn held_attempts(
    db: Db<'_>,
    workers: &[WorkerId],
) -> Result<HashMap<WorkerId, HeldAttempts>, StoreError> {
    let ids: Vec<i64> = workers.iter().map(|worker| worker.0).collect();
    let rows: Vec<(WorkerId, HeldAttempts)> =
        db.all(HELD_ATTEMPTS, &[&List(&ids), &AccountState::Active.code()], read).await?;
    let mut known: HashMap<WorkerId, HeldAttempts> = HashMap::new();
    for (worker, one) in rows {
        known.entry(worker).and_modify(|entry| entry.attempts.extend(&one.attempts)).or_insert(one);
    }
    Ok(known)
}

fn read(row: &Row<'_>) -> Result<(WorkerId, HeldAttempts), StoreError> {
    let attempts = match row.value::<Option<i64>>("task_id")? {
        Some(task) => vec![HeldAttempt {
            task: TaskId(task),
            epoch: Epoch(row.value("epoch")?),
            claimed_at: row.time("claimed_at")?,
            stop_asked: row.value("stop_asked")?,
        }],
        None => Vec::new(),
    };
    Ok((WorkerId(row.value("id")?), HeldAttempts { state: row.code("state")?, attempts }))
}
