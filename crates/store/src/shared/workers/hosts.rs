//! The host names of workers. They stay after the worker, as long as one of its attempts does.

use mitosis_protocol::worker::WorkerFacts;
use uuid::Uuid;

use crate::StoreError;
use crate::db::{Db, List, Sql, only, sql, to_json};

const RECORD: Sql = sql!("INSERT INTO worker_host (uuid, host, facts) VALUES ($1, $2, $3)");

/// Records the host name of a new worker, and what else it says about itself.
pub(super) async fn note(
    db: Db<'_>,
    worker: Uuid,
    host: &str,
    facts: Option<&WorkerFacts>,
) -> Result<(), StoreError> {
    let facts = facts.map(to_json).transpose()?;
    db.run_one(RECORD, &[&worker, &host, &facts]).await
}

const HOST: Sql = sql!("SELECT host FROM worker_host WHERE uuid = $1");

/// The host name of a worker, if it sent one.
pub(crate) async fn of(db: Db<'_>, worker: Uuid) -> Result<Option<String>, StoreError> {
    db.optional(HOST, &[&worker], only).await
}

const REPORTERS: Sql = sql!(
    "
    SELECT reporter_uuid FROM done WHERE task_id = ANY($1) AND reporter_uuid IS NOT NULL
    UNION
    SELECT reporter_uuid FROM attempt WHERE task_id = ANY($1) AND reporter_uuid IS NOT NULL"
);

/// The workers of the ended attempts of these tasks.
pub(crate) async fn of_attempts(db: Db<'_>, tasks: &[i64]) -> Result<Vec<Uuid>, StoreError> {
    db.all(REPORTERS, &[&List(tasks)], only).await
}

/// A worker that is registered may still end attempts.
const DELETE_UNUSED: Sql = sql!(
    "
    DELETE FROM worker_host WHERE uuid = ANY($1::uuid[])
      AND NOT EXISTS (SELECT 1 FROM worker WHERE worker.uuid = worker_host.uuid)
      AND NOT EXISTS (SELECT 1 FROM done WHERE done.reporter_uuid = worker_host.uuid)
      AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.reporter_uuid = worker_host.uuid)"
);

/// Deletes the host names of workers that have left and are not named by an attempt.
pub(crate) async fn delete_unused(db: Db<'_>, workers: &[Uuid]) -> Result<(), StoreError> {
    db.run(DELETE_UNUSED, &[&List(workers)]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_finds_the_attempts_of_a_worker_by_an_index() {
        assert_searches(REPORTERS, &["done", "attempt"]);
        assert_searches(DELETE_UNUSED, &["worker_host", "worker", "done", "attempt"]);
    }
}
