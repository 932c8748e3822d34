//! What the ends of tasks mean for the tasks that need them.

use std::collections::BTreeMap;

use mitosis_domain::ids::JobId;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{TaskResultMessage, Timestamp};
use uuid::Uuid;

use super::super::counts::CountChanges;
use super::{EndedElement, Link, by_needed, distinct, links_to};
use crate::StoreError;
use crate::db::{Db, List, Params, Row, Sql, only, sql};
use crate::enum_codes::Code as _;
use crate::ops::Effects;
use crate::ops::jobs::CountChange;

/// Makes a transaction that writes or reopens tasks of a dependent job come before or after. Those that end tasks do not
/// exclude each other.
const LOCK_LINKS_TO: &str = "
    SELECT 1 FROM job_dependency WHERE needed_id = ANY($1) AND kind = 2 ORDER BY job_id, needed_id FOR KEY SHARE";

/// Releases the tasks that need the ended ones, or cancels them, and those that need these, level by level. The caller writes
/// the counts.
pub(crate) async fn settle(
    db: Db<'_>,
    ended: Vec<EndedElement>,
    counts: &mut CountChanges,
    now: Timestamp,
) -> Result<Effects, StoreError> {
    let (mut effects, mut level) = (Effects::default(), ended);
    while !level.is_empty() {
        let jobs = distinct(level.iter().map(|ended| ended.job));
        counts.settled(&jobs);
        db.lock(LOCK_LINKS_TO, &[&List(&jobs)]).await?;
        let links = links_to(db, &jobs).await?;
        if links.is_empty() {
            break;
        }
        level = apply(db, &links, &level, (counts, &mut effects), now).await?;
    }
    Ok(effects)
}

/// Settles one level of locked links; returns the tasks that were cancelled.
pub(super) async fn apply(
    db: Db<'_>,
    links: &[Link],
    ended: &[EndedElement],
    (counts, effects): (&mut CountChanges, &mut Effects),
    now: Timestamp,
) -> Result<Vec<EndedElement>, StoreError> {
    // Tasks that are not written yet may be written now.
    effects.jobs.extend(links.iter().map(|link| link.dependent));
    for (job, is_free) in release(db, &met(links, ended), now).await? {
        counts.add(Some(job), CountChange { blocked: -1, ..CountChange::default() });
        effects.ready |= is_free;
        effects.moved = true;
    }
    let mut failed = Vec::new();
    for (link, tasks) in failures(links, ended) {
        let cancelled = cancel(db, link, &tasks, now).await?;
        let change = CountChange { waiting: -1, blocked: -1, cancelled: 1, ..CountChange::default() };
        for (task, _) in &cancelled {
            counts.add(Some(link.dependent), change);
            failed.push(EndedElement { task: *task, job: link.dependent, succeeded: false });
        }
        effects.add(Effects::ended(cancelled.into_iter().map(|(_, uuid)| uuid).collect()));
    }
    Ok(failed)
}

/// A task that needs some that have succeeded.
#[derive(Debug, Clone, Copy)]
struct Met {
    job: JobId,
    /// The bits of the jobs whose tasks have succeeded.
    mask: i64,
    is_held: bool,
}

/// The tasks that need those that succeeded, by their ids.
fn met(links: &[Link], ended: &[EndedElement]) -> BTreeMap<i64, Met> {
    let (by_needed, mut met) = (by_needed(links), BTreeMap::new());
    for one in ended.iter().filter(|ended| ended.succeeded) {
        for link in by_needed.get(&one.job).into_iter().flatten() {
            let new = Met { job: link.dependent, mask: 0, is_held: link.is_held };
            met.entry(link.dependent_of(one.task)).or_insert(new).mask |= link.mask;
        }
    }
    met
}

/// For each link, the tasks that need one that did not succeed.
fn failures<'a>(links: &'a [Link], ended: &'a [EndedElement]) -> impl Iterator<Item = (&'a Link, Vec<i64>)> {
    let tasks = |link: &Link| {
        let failed = ended.iter().filter(|ended| !ended.succeeded && ended.job == link.needed);
        failed.map(|ended| link.dependent_of(ended.task)).collect::<Vec<i64>>()
    };
    links.iter().map(move |link| (link, tasks(link))).filter(|(_, tasks)| !tasks.is_empty())
}

/// A task is queued when nothing blocks it any more.
const RELEASE_ALL: &str = "
    UPDATE ready SET blocked = ready.blocked & ~met.mask, held = (ready.blocked & ~met.mask) <> 0 OR met.is_held,
        queued_at = CASE WHEN (ready.blocked & ~met.mask) = 0 THEN $4 ELSE ready.queued_at END
    FROM unnest($1::bigint[], $2::bigint[], $3::boolean[]) AS met (task_id, mask, is_held)
    WHERE ready.task_id = met.task_id AND (ready.blocked & met.mask) <> 0
    RETURNING ready.task_id, ready.blocked";

const RELEASE_ONE: Sql = sql!(
    "
    UPDATE ready SET blocked = blocked & ~$2, held = (blocked & ~$2) <> 0 OR $3,
        queued_at = CASE WHEN (blocked & ~$2) = 0 THEN $4 ELSE queued_at END
    WHERE task_id = $1 AND (blocked & $2) <> 0
    RETURNING task_id, blocked"
);

/// Clears bits; returns the job of each task that nothing blocks any more, and whether a worker may claim it.
async fn release(
    db: Db<'_>,
    met: &BTreeMap<i64, Met>,
    now: Timestamp,
) -> Result<Vec<(JobId, bool)>, StoreError> {
    if met.is_empty() {
        return Ok(Vec::new());
    }
    let read = |row: &Row<'_>| Ok((row.value("task_id")?, row.value("blocked")?));
    let mut changed: Vec<(i64, i64)> = Vec::new();
    match db {
        Db::Postgres(session) => {
            let tasks: Vec<i64> = met.keys().copied().collect();
            let masks: Vec<i64> = met.values().map(|met| met.mask).collect();
            let held: Vec<bool> = met.values().map(|met| met.is_held).collect();
            changed = session.all(RELEASE_ALL, &[&tasks, &masks, &held, &now.unix_micros()], read).await?;
        }
        Db::Sqlite(_) => {
            for (task, Met { mask, is_held, .. }) in met {
                let params: Params<'_> = &[task, mask, is_held, &now.unix_micros()];
                changed.extend(db.optional(RELEASE_ONE, params, read).await?);
            }
        }
    }
    let free = changed.into_iter().filter(|(_, blocked)| *blocked == 0);
    Ok(free.filter_map(|(task, _)| met.get(&task)).map(|met| (met.job, !met.is_held)).collect())
}

/// The result names the first task that did not succeed. A cancellation has no reporter, and token 0, so that no report can
/// match it.
const CANCEL: Sql = sql!(
    "
    INSERT INTO done (task_id, state, exit_status, message, epoch, token, finished_at, warnings)
    SELECT task_id, $3::smallint, 0, $4::smallint, epoch, 0, $5::bigint,
        '[{\"code\":\"dependency_failed\",\"text\":\"task ' || $6::bigint || '/' || (task_id - $7::bigint + 1)
            || ' did not succeed\"}]'
    FROM (SELECT task_id, epoch FROM ready WHERE task_id = ANY($1) AND (blocked & $2) <> 0 FOR UPDATE) AS taken
    RETURNING task_id, (SELECT uuid FROM task WHERE id = task_id) AS uuid"
);

const DELETE: Sql = sql!("DELETE FROM ready WHERE task_id = ANY($1) RETURNING task_id");

/// Cancels those of the tasks that wait for one of the needed job; returns them.
async fn cancel(
    db: Db<'_>,
    link: &Link,
    tasks: &[i64],
    now: Timestamp,
) -> Result<Vec<(i64, Uuid)>, StoreError> {
    let params: Params<'_> = &[
        &List(tasks),
        &link.mask,
        &ExecEnd::Cancelled.code(),
        &TaskResultMessage::DependencyFailed.code(),
        &now.unix_micros(),
        &link.needed.0,
        &link.first_id,
    ];
    let cancelled: Vec<(i64, Uuid)> =
        db.all(CANCEL, params, |row| Ok((row.value("task_id")?, row.value("uuid")?))).await?;
    let ids: Vec<i64> = cancelled.iter().map(|(task, _)| *task).collect();
    if !ids.is_empty() {
        db.all::<Vec<i64>, _>(DELETE, &[&List(&ids)], only).await?;
    }
    Ok(cancelled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    fn link(dependent: i64, needed: i64, mask: i64) -> Link {
        Link {
            dependent: JobId(dependent),
            needed: JobId(needed),
            mask,
            first_id: dependent * 100,
            needed_first_id: needed * 100,
            needed_written: 9,
            is_held: false,
        }
    }

    #[test]
    fn tasks_that_need_two_jobs_are_settled_once() {
        let links = [link(3, 1, 1), link(3, 2, 2), link(4, 1, 1)];
        let ended = |task: i64, succeeded| EndedElement { task, job: JobId(task / 100), succeeded };
        let ended = [ended(105, true), ended(205, true), ended(106, false)];
        let met: Vec<(i64, i64)> =
            met(&links, &ended).into_iter().map(|(task, met)| (task, met.mask)).collect();
        assert_eq!(met, [(305, 3), (405, 1)]);
        let failed: Vec<_> =
            failures(&links, &ended).map(|(link, tasks)| (link.dependent.0, tasks)).collect();
        assert_eq!(failed, [(3, vec![306]), (4, vec![406])]);
    }

    #[test]
    fn sqlite_looks_tasks_up() {
        assert_searches(RELEASE_ONE, &["ready"]);
        assert_searches(DELETE, &["ready"]);
    }
}
