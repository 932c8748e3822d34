//! Requests to stop running tasks.

use std::collections::{BTreeSet, HashMap};

use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::rights;
use crate::StoreError;
use crate::db::{Db, List, Row, Sql, sql};
use crate::ops::tasks::StopRequested;
use crate::ops::{Actor, Changed, Effects};

/// Locks the leases, in their order; a legacy worker has no slots and can't stop a task. It waits for a
/// concurrent requeue, which would not see the request.
const FIND: Sql = sql!(
    "
    SELECT t.uuid AS task, l.task_id, w.uuid AS worker, w.slots IS NOT NULL AS listens
    FROM task t INNER JOIN lease l ON l.task_id = t.id INNER JOIN worker w ON w.id = l.worker_id
    WHERE t.uuid = ANY($1::uuid[]) AND l.reported_end IS NULL
    ORDER BY l.task_id FOR UPDATE OF l"
);

const ASK: Sql =
    sql!("UPDATE lease SET stop_asked = true, updated_at = $2 WHERE task_id = ANY($1) AND NOT stop_asked");

/// A running task, and its worker.
struct Running {
    task: Uuid,
    id: i64,
    worker: Uuid,
    listens: bool,
}

/// Records the requests on the leases that native workers hold. Returns what came of each request, in the given order.
pub(super) async fn request(
    db: Db<'_>,
    actor: Actor,
    tasks: &[Uuid],
    now: Timestamp,
) -> Result<Changed<Vec<StopRequested>>, StoreError> {
    let permitted = rights::permitted_tasks(db, actor, tasks, Action::ManageTasks).await?;
    let running: Vec<Running> = db.all(FIND, &[&List(&permitted)], read_running).await?;
    let listening = || running.iter().filter(|one| one.listens);
    let ids: Vec<i64> = listening().map(|one| one.id).collect();
    if !ids.is_empty() {
        db.run(ASK, &[&List(&ids), &now.unix_micros()]).await?;
    }
    let workers: BTreeSet<Uuid> = listening().map(|one| one.worker).collect();
    let outcomes: HashMap<Uuid, StopRequested> =
        running.iter().map(|one| (one.task, one.outcome())).collect();
    let in_order = tasks.iter().map(|task| outcomes.get(task).copied().unwrap_or(StopRequested::NotRunning));
    Ok(Effects { workers: workers.into_iter().collect(), ..Effects::default() }.with(in_order.collect()))
}

impl Running {
    const fn outcome(&self) -> StopRequested {
        match self.listens {
            true => StopRequested::Agent(self.worker),
            false => StopRequested::LegacyWorker,
        }
    }
}

fn read_running(row: &Row<'_>) -> Result<Running, StoreError> {
    Ok(Running {
        task: row.value("task")?,
        id: row.value("task_id")?,
        worker: row.value("worker")?,
        listens: row.value("listens")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_searches_for_leases_by_task() {
        assert_searches(FIND, &["t", "l", "w"]);
        assert_searches(ASK, &["lease"]);
    }
}
