//! The locked workers of a batch, and what each may run.

use std::collections::HashMap;

use mitosis_domain::ids::{GroupId, WorkerId};
use mitosis_protocol::Role;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::worker::WorkerState;

use crate::StoreError;
use crate::db::Row;
use crate::enum_codes::Code;
use crate::exchange_plan::{Eligibility, Participant};
use crate::postgres::session::{Params, Session};
use crate::shared::workers::LockedWorker;

/// Locks in the order of ids, so that two batches can't deadlock. It waits for each lock.
const LOCK: &str = "SELECT 1 FROM worker WHERE id = ANY($1) ORDER BY id FOR UPDATE";

/// Workers that are not registered any more are left out.
const PARTICIPANTS: &str = "
    SELECT w.id, w.uuid, w.state, w.drain_reason IS NOT NULL AS is_drained, w.tags, w.offer, w.ends_at, u.state AS owner_state,
           ARRAY(SELECT g.group_id FROM worker_group g
                 WHERE g.worker_id = w.id AND g.role >= $2 ORDER BY g.group_id) AS groups
    FROM worker w JOIN users u ON u.id = w.creator_id
    WHERE w.id = ANY($1)";

/// Locks the workers of a batch. A worker whose owner's account is not Active counts as gone.
pub(super) async fn lock(
    db: Session<'_>,
    workers: &[WorkerId],
) -> Result<HashMap<WorkerId, Participant>, StoreError> {
    let ids: Vec<i64> = workers.iter().map(|worker| worker.0).collect();
    let (lock, look) = (db.prepare_cached(LOCK).await?, db.prepare_cached(PARTICIPANTS).await?);
    // The statements are sent together and executed in sequence. In one statement that waits for a lock, the
    // groups would be those from before the wait.
    let least = Role::Write.code();
    let (locked, looked): (Params<'_>, Params<'_>) = (&[&ids], &[&ids, &least]);
    let (_, rows) = tokio::try_join!(db.execute(&lock, locked), db.query(&look, looked))?;
    let found: Vec<(Participant, AccountState)> = rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok(found
        .into_iter()
        .filter(|(_, owner)| *owner == AccountState::Active)
        .map(|(participant, _)| (participant.worker.id, participant))
        .collect())
}

fn read(row: &tokio_postgres::Row) -> Result<(Participant, AccountState), StoreError> {
    let groups: Vec<i64> = row.try_get("groups")?;
    let row = Row::Postgres(row);
    let worker = LockedWorker {
        id: WorkerId(row.value("id")?),
        uuid: row.value("uuid")?,
        state: row.code::<WorkerState>("state")?,
        is_drained: row.value("is_drained")?,
    };
    let groups = groups.into_iter().map(GroupId).collect();
    let eligibility = Eligibility { groups, tags: row.tag_set("tags")? };
    let (offer, ends_at) = (row.value("offer")?, row.optional_time("ends_at")?);
    Ok((Participant { worker, eligibility, offer, ends_at }, row.code("owner_state")?))
}
