//! Requests to stop a running task.

use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::rights;
use crate::StoreError;
use crate::db::{Db, Sql, sql};
use crate::ops::tasks::StopRequested;
use crate::ops::{Actor, Changed, Effects};

/// Locks the lease of a native worker; a legacy worker has no slots and can't stop a task. It waits for a
/// concurrent requeue, which would not see the request.
const FIND: Sql = sql!(
    "
    SELECT l.task_id, w.uuid, w.slots IS NOT NULL AS listens
    FROM task t INNER JOIN lease l ON l.task_id = t.id INNER JOIN worker w ON w.id = l.worker_id
    WHERE t.uuid = $1 AND l.reported_end IS NULL
    FOR UPDATE OF l"
);

const ASK: Sql =
    sql!("UPDATE lease SET stop_asked = true, updated_at = $2 WHERE task_id = $1 AND NOT stop_asked");

/// Records the request on the lease, if a native worker holds it.
pub(super) async fn ask(
    db: Db<'_>,
    actor: Actor,
    uuid: Uuid,
    now: Timestamp,
) -> Result<Changed<StopRequested>, StoreError> {
    if !rights::may_with(db, actor, uuid, Action::ManageTasks).await? {
        return Ok(Changed::nothing(StopRequested::NotRunning));
    }
    let found = db
        .optional(FIND, &[&uuid], |row| {
            Ok((row.value::<i64>("task_id")?, row.value::<Uuid>("uuid")?, row.value("listens")?))
        })
        .await?;
    Ok(match found {
        Some((task, worker, true)) => {
            db.run(ASK, &[&task, &now.unix_micros()]).await?;
            Effects { workers: vec![worker], ..Effects::default() }.with(StopRequested::Agent(worker))
        }
        Some((_, _, false)) => Changed::nothing(StopRequested::LegacyWorker),
        None => Changed::nothing(StopRequested::NotRunning),
    })
}
