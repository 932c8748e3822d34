//! Reports about the end of a command.

use mitosis_domain::task::ExecEnd;
use mitosis_protocol::Timestamp;

use super::lease;
use crate::StoreError;
use crate::db::{Db, Sql, sql};
use crate::enum_codes::Code;
use crate::ops::dispatch::{EndReport, Holder};
use crate::ops::{Changed, Effects};

const RECORD_END: Sql = sql!("UPDATE lease SET reported_end = $2, updated_at = $3 WHERE task_id = $1");

/// Records the end on the lease, if the holder still has it.
pub(super) async fn report_end(
    db: Db<'_>,
    holder: Holder,
    end: ExecEnd,
    now: Timestamp,
) -> Result<Changed<EndReport>, StoreError> {
    let Some(lease) = lease::lock(db, holder).await? else { return Ok(Changed::nothing(EndReport::NotHeld)) };
    db.run_one(RECORD_END, &[&lease.key.task.0, &end.code(), &now.unix_micros()]).await?;
    Ok(Effects::moved().with(EndReport::Recorded))
}
