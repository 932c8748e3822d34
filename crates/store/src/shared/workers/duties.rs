//! What workers have to be told.

use std::collections::HashMap;

use mitosis_domain::ids::{TaskId, WorkerId};
use mitosis_protocol::admin::AccountState;

use crate::StoreError;
use crate::db::{Db, List, Row, Sql, sql};
use crate::enum_codes::Code;
use crate::ops::workers::{Duties, HeldAttempt};

const DUTIES: Sql = sql!(
    "
    SELECT w.id, w.state, l.task_id, l.epoch, l.claimed_at, l.stop_asked
    FROM worker w
    INNER JOIN users u ON u.id = w.creator_id AND u.state = $2
    LEFT JOIN lease l ON l.worker_id = w.id
    WHERE w.id = ANY($1)
    ORDER BY l.claimed_at, l.task_id"
);

/// The duties of those that are there.
pub(super) async fn duties(
    db: Db<'_>,
    workers: &[WorkerId],
) -> Result<HashMap<WorkerId, Duties>, StoreError> {
    let ids: Vec<i64> = workers.iter().map(|worker| worker.0).collect();
    let rows: Vec<(WorkerId, Duties)> =
        db.all(DUTIES, &[&List(&ids), &AccountState::Active.code()], read).await?;
    let mut duties: HashMap<WorkerId, Duties> = HashMap::new();
    for (worker, one) in rows {
        duties.entry(worker).and_modify(|known| known.held.extend(&one.held)).or_insert(one);
    }
    Ok(duties)
}

fn read(row: &Row<'_>) -> Result<(WorkerId, Duties), StoreError> {
    let held = match row.value::<Option<i64>>("task_id")? {
        Some(task) => vec![HeldAttempt {
            task: TaskId(task),
            epoch: row.value("epoch")?,
            claimed_at: row.time("claimed_at")?,
            stop_asked: row.value("stop_asked")?,
        }],
        None => Vec::new(),
    };
    Ok((WorkerId(row.value("id")?), Duties { state: row.code("state")?, held }))
}
