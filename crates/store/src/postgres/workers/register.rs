//! A worker comes.

use std::time::Duration;

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::Timestamp;
use mitosis_protocol::worker::WorkerState;
use tokio_postgres::types::Json;

use super::super::row::{self, Db};
use crate::Fault;
use crate::code::{Code, micros};
use crate::ops::workers::NewWorker;

const INSERT_WORKER: &str = "
    INSERT INTO worker (uuid, creator_id, tags, labels, state, created_at, updated_at, slots)
    VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
    RETURNING id";

const INSERT_GROUPS: &str = "
    INSERT INTO worker_group (worker_id, group_id, role)
    SELECT $1, group_id, role FROM unnest($2::bigint[], $3::smallint[]) AS new (group_id, role)";

const INSERT_SESSION: &str = "
    INSERT INTO worker_session (worker_id, last_heartbeat, lease_until, lease) VALUES ($1, $2, $2::bigint + $3::bigint, $3)";

/// Registers it for all its groups, alive from now.
pub(super) async fn register(
    tx: &impl Db,
    new: &NewWorker,
    lease: Duration,
    now: Timestamp,
) -> Result<WorkerId, Fault> {
    let state = WorkerState::Normal.code();
    let slots = new.slots.map(|slots| i32::try_from(slots).unwrap_or(i32::MAX));
    let params: row::Params<'_> = &[
        &new.uuid,
        &new.creator.0,
        &Json(&new.tags),
        &Json(&new.labels),
        &state,
        &now.unix_micros(),
        &slots,
    ];
    let worker: i64 = row::one(tx, INSERT_WORKER, params, row::only).await?;
    let (groups, roles): (Vec<i64>, Vec<i16>) =
        new.groups.iter().map(|(group, role)| (group.0, role.code())).unzip();
    row::run(tx, INSERT_GROUPS, &[&worker, &groups, &roles]).await?;
    row::run_one(tx, INSERT_SESSION, &[&worker, &now.unix_micros(), &micros(lease)]).await?;
    Ok(WorkerId(worker))
}
