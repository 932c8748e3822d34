//! What tasks that are being written need.

use mitosis_domain::ids::JobId;
use mitosis_protocol::Timestamp;

use super::super::counts::CountChanges;
use super::settle::{apply, settle};
use super::{EndedElement, Link, lock_links_of, succeeded};
use crate::StoreError;
use crate::db::{Db, Row, Sql, only, sql};
use crate::enum_codes::row_count;
use crate::ops::Effects;

/// Positions of tasks within their job, from 0, without the last one.
pub(in super::super) type Positions = (u64, u64);

/// Whether all tasks that these need are written. Otherwise they would wait for a task that is perhaps never written.
pub(in super::super) fn are_written(links: &[Link], (_, to): Positions) -> bool {
    links.iter().all(|link| to <= link.needed_written)
}

impl Link {
    /// The ids of the needed tasks at these positions.
    fn needed(&self, (from, to): Positions) -> (i64, i64) {
        (self.needed_first_id + row_count(from), self.needed_first_id + row_count(to) - 1)
    }
}

const SUCCEEDED: Sql =
    sql!(concat!("SELECT d.task_id FROM done d WHERE d.task_id BETWEEN $1 AND $2 AND ", succeeded!("d")));

/// What blocks each of the tasks at first, without a lock: [`settle_written`] has the last word.
pub(in super::super) async fn blocked(
    db: Db<'_>,
    links: &[Link],
    positions: Positions,
) -> Result<Vec<i64>, StoreError> {
    let count = usize::try_from(positions.1 - positions.0).unwrap_or(usize::MAX);
    let mut blocked = vec![links.iter().map(|link| link.mask).sum(); count];
    for link in links {
        let (first, last) = link.needed(positions);
        for task in db.all::<Vec<i64>, i64>(SUCCEEDED, &[&first, &last], only).await? {
            if let Some(bits) = usize::try_from(task - first).ok().and_then(|at| blocked.get_mut(at)) {
                *bits &= !link.mask;
            }
        }
    }
    Ok(blocked)
}

/// A task without a row was deleted.
const STATES: Sql = sql!(concat!(
    "
    SELECT t.id, CASE WHEN d.task_id IS NULL THEN 0 WHEN ",
    succeeded!("d"),
    " THEN 1 ELSE 2 END AS state
    FROM task t LEFT JOIN done d ON d.task_id = t.id WHERE t.id BETWEEN $1 AND $2 ORDER BY t.id"
));

/// Locks the links, and settles those of the new rows whose needed tasks have ended meanwhile or did not succeed. A task that
/// was deleted has not succeeded.
pub(in super::super) async fn settle_written(
    db: Db<'_>,
    (id, links): (JobId, &[Link]),
    (positions, blocked): (Positions, &[i64]),
    counts: &mut CountChanges,
    now: Timestamp,
) -> Result<Effects, StoreError> {
    lock_links_of(db, id).await?;
    let mut ended = Vec::new();
    for link in links {
        let (first, _) = link.needed(positions);
        let is_blocked = |task: i64| {
            let bits = usize::try_from(task - first).ok().and_then(|at| blocked.get(at));
            bits.is_some_and(|bits| bits & link.mask != 0)
        };
        ended.extend(ended_of(db, link, positions).await?.into_iter().filter(|ended| is_blocked(ended.task)));
    }
    let mut effects = Effects::default();
    let failed = apply(db, links, &ended, (counts, &mut effects), now).await?;
    effects.add(settle(db, failed, counts, now).await?);
    Ok(effects)
}

/// The needed tasks that do not succeed any more, or have succeeded.
async fn ended_of(db: Db<'_>, link: &Link, positions: Positions) -> Result<Vec<EndedElement>, StoreError> {
    let (first, last) = link.needed(positions);
    let read = |row: &Row<'_>| Ok((row.value::<i64>("id")?, row.value::<i32>("state")?));
    let states: Vec<(i64, i32)> = db.all(STATES, &[&first, &last], read).await?;
    let mut states = states.into_iter().peekable();
    let ended = (first..=last).filter_map(|task| {
        let succeeded = match states.next_if(|(id, _)| *id == task) {
            Some((_, 0)) => return None,
            Some((_, state)) => state == 1,
            None => false,
        };
        Some(EndedElement { task, job: link.needed, succeeded })
    });
    Ok(ended.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_reads_ranges_of_tasks() {
        assert_searches(SUCCEEDED, &["d"]);
        assert_searches(STATES, &["t", "d"]);
    }
}
