//! Asking for a task that runs to be stopped.

use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::rights;
use super::super::row::{self, Columns, Db};
use crate::StoreError;
use crate::ops::By;
use crate::ops::tasks::StopAsked;

/// Published workers have no slots, and no ears.
const ASK: &str = "
    WITH found AS (
        SELECT l.task_id, w.uuid, w.slots IS NOT NULL AS listens
        FROM task t JOIN lease l ON l.task_id = t.id JOIN worker w ON w.id = l.worker_id
        WHERE t.uuid = $1 AND l.reported_end IS NULL
        -- An attempt that is being lost meanwhile is waited for: its end would not see the wish.
        FOR UPDATE OF l),
    asked AS (
        UPDATE lease SET stop_asked = true, updated_at = $2 FROM found
        WHERE lease.task_id = found.task_id AND found.listens AND NOT lease.stop_asked)
    SELECT uuid, listens FROM found";

/// Notes the wish on the lease, if an agent of ours has it.
pub(super) async fn ask(tx: &impl Db, by: By, uuid: Uuid, now: Timestamp) -> Result<StopAsked, StoreError> {
    if !rights::may_with(tx, by, uuid, Action::ManageTasks).await? {
        return Ok(StopAsked::NotRunning);
    }
    let found = row::optional(tx, ASK, &[&uuid, &now.unix_micros()], |row| {
        Ok((row.value::<Uuid>("uuid")?, row.value("listens")?))
    })
    .await?;
    Ok(match found {
        Some((worker, true)) => StopAsked::Of(worker),
        Some((_, false)) => StopAsked::OfPublished,
        None => StopAsked::NotRunning,
    })
}
