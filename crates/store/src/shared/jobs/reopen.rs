//! Ended tasks that wait for their next attempt.

use mitosis_protocol::Timestamp;

use crate::StoreError;
use crate::db::{Db, List, Sql, sql};
use crate::enum_codes::Code as _;
use crate::ops::Effects;

/// Why a task has another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetriedBy {
    /// A user asked for it.
    User,
    /// The policy of the job.
    Policy,
    /// The worker was lost.
    Loss,
}

/// Whether a waiting task may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hold {
    /// At once.
    Free,
    /// When a coordinator releases it.
    Held,
    /// When a coordinator releases it, which is not before this time.
    Until(Timestamp),
    /// When tasks of other jobs have succeeded; these are their bits.
    Blocked(i64),
}

/// Keeps the attempts. A cancellation of a waiting task is no attempt: it has no reporter.
const KEEP_ATTEMPTS: Sql = sql!(
    "
    INSERT INTO attempt (task_id, epoch, state, exit_status, message, reporter_uuid, token, claimed_at, finished_at,
                         retried_by, data, warnings, wall_micros, cpu_micros, peak_memory, output_bytes)
    SELECT task_id, epoch, state, exit_status, message, reporter_uuid, token, claimed_at, finished_at, $2, data, warnings,
           wall_micros, cpu_micros, peak_memory, output_bytes
    FROM done WHERE task_id = ANY($1) AND reporter_uuid IS NOT NULL"
);

/// The archives of earlier attempts are kept, and are not those of the task any more. What a user uploaded stays.
const HIDE_ARCHIVES: Sql =
    sql!("UPDATE artifact SET visible = FALSE WHERE task_id = ANY($1) AND visible AND epoch > 0");

const QUEUE: Sql = sql!(
    "
    INSERT INTO ready (lane_id, held, held_until, neg_priority, task_id, epoch, losses, queued_at, blocked)
    SELECT t.lane_id, $2, $4, ~t.priority, t.id, d.epoch, 0, $3, $5
    FROM done d INNER JOIN task t ON t.id = d.task_id
    WHERE d.task_id = ANY($1)"
);

const DELETE_ENDS: Sql = sql!("DELETE FROM done WHERE task_id = ANY($1)");

/// Moves ended tasks to the queue. Their epochs continue, so a late report of an earlier attempt finds nothing. The caller
/// counts them.
pub(super) async fn reopen(
    db: Db<'_>,
    tasks: &[i64],
    by: RetriedBy,
    hold: Hold,
    now: Timestamp,
) -> Result<Effects, StoreError> {
    let (held, until, blocked) = match hold {
        Hold::Free => (false, None, 0),
        Hold::Held => (true, None, 0),
        Hold::Until(at) => (true, Some(at.unix_micros()), 0),
        Hold::Blocked(bits) => (true, None, bits),
    };
    db.run(KEEP_ATTEMPTS, &[&List(tasks), &by.code()]).await?;
    db.run(HIDE_ARCHIVES, &[&List(tasks)]).await?;
    db.run(QUEUE, &[&List(tasks), &held, &now.unix_micros(), &until, &blocked]).await?;
    db.run(DELETE_ENDS, &[&List(tasks)]).await?;
    Ok(Effects { ready: true, ..Effects::moved() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_reads_ends_by_their_key() {
        assert_searches(KEEP_ATTEMPTS, &["done"]);
        assert_searches(QUEUE, &["d", "t"]);
        assert_searches(DELETE_ENDS, &["done"]);
    }
}
