//! Tasks in the form that agents need to run them.

use mitosis_domain::ids::{GroupId, JobId, TaskId, WorkerId};
use mitosis_domain::task::LeaseKey;

use super::lease;
use crate::StoreError;
use crate::db::{Db, List, Row, Sql, sql};
use crate::ops::dispatch::Work;

const HELD_WORK: Sql = sql!(
    "
    SELECT l.task_id, l.epoch, l.token, t.uuid, t.group_id, t.priority, t.timeout_seconds, t.upstream_uuid,
           t.job_id, t.spec
    FROM lease l INNER JOIN task t ON t.id = l.task_id
    WHERE l.worker_id = $1 AND l.task_id = ANY($2)
    ORDER BY l.claimed_at, l.task_id"
);

/// The tasks that a worker holds, out of the given ones.
pub(super) async fn held(db: Db<'_>, worker: WorkerId, tasks: &[TaskId]) -> Result<Vec<Work>, StoreError> {
    let tasks: Vec<i64> = tasks.iter().map(|task| task.0).collect();
    db.all(HELD_WORK, &[&worker.0, &List(&tasks)], read).await
}

pub(crate) fn read(row: &Row<'_>) -> Result<Work, StoreError> {
    read_task(row, lease::read_key(row)?)
}

/// The task of a lease.
pub(crate) fn read_task(row: &Row<'_>, lease: LeaseKey) -> Result<Work, StoreError> {
    Ok(Work {
        lease,
        uuid: row.value("uuid")?,
        group: GroupId(row.value("group_id")?),
        priority: row.value("priority")?,
        timeout: row.timeout("timeout_seconds")?,
        upstream: row.value("upstream_uuid")?,
        job: row.value::<Option<_>>("job_id")?.map(JobId),
        spec: row.json("spec")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_lease() {
        assert_searches(HELD_WORK, &["l", "t"]);
    }
}
