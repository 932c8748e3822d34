//! Pause, priority and limit of a job.

use mitosis_domain::ids::JobId;
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::JobChange;

use super::super::rights;
use super::elements;
use super::steps::{self, Locked};
use crate::StoreError;
use crate::db::{Db, Sql, sql};
use crate::enum_codes::{neg_priority, row_count};
use crate::ops::{Actor, Changed, Effects};

const SET_PAUSED: Sql = sql!("UPDATE job SET paused = $2, updated_at = $3 WHERE id = $1");

const SET_PRIORITY: Sql = sql!("UPDATE job SET priority = $2, updated_at = $3 WHERE id = $1");

const SET_MAX_RUNNING: Sql = sql!("UPDATE job SET max_running = $2, updated_at = $3 WHERE id = $1");

/// Changes a job.
pub(super) async fn change(
    db: Db<'_>,
    by: Actor,
    id: JobId,
    change: &JobChange,
    now: Timestamp,
) -> Result<Changed<bool>, StoreError> {
    let Some(job) = steps::lock(db, id).await? else { return Ok(Changed::nothing(false)) };
    if !rights::may(db, by, job.group, Action::ManageTasks).await? {
        return Ok(Changed::nothing(false));
    }
    let bound = rights::priority_bound(db, by, job.group).await?;
    if bound.is_some_and(|most| change.priority.is_some_and(|wanted| wanted > most.max(job.priority))) {
        return Ok(Changed::nothing(false));
    }
    let now = now.unix_micros();
    if let Some(paused) = change.paused {
        db.run_one(SET_PAUSED, &[&id.0, &paused, &now]).await?;
    }
    if let Some(most) = change.max_running {
        let most = (most > 0).then(|| row_count(most));
        db.run_one(SET_MAX_RUNNING, &[&id.0, &most, &now]).await?;
    }
    if let Some(priority) = change.priority {
        db.run_one(SET_PRIORITY, &[&id.0, &priority, &now]).await?;
        move_tasks(db, &job, priority, now).await?;
    }
    // A coordinator releases as many as may run.
    if change.paused == Some(true) || change.max_running.is_some() {
        if job.is_element_wise() {
            elements::lock_links_of(db, id).await?;
        }
        db.run(SET_HELD, &[&job.first_id, &job.last_id()]).await?;
    }
    Ok(Effects::jobs(vec![id]).with(true))
}

const SET_HELD: Sql = sql!("UPDATE ready SET held = TRUE WHERE NOT held AND task_id BETWEEN $1 AND $2");

/// The priority of a running task counts when it is requeued.
const SET_TASK_PRIORITY: Sql = sql!(
    "
    UPDATE task SET priority = $3, updated_at = $4
    WHERE id IN (
        SELECT task_id FROM ready WHERE task_id BETWEEN $1 AND $2
        UNION ALL SELECT task_id FROM lease WHERE task_id BETWEEN $1 AND $2)"
);

const MOVE: Sql = sql!("UPDATE ready SET neg_priority = $3 WHERE task_id BETWEEN $1 AND $2");

async fn move_tasks(db: Db<'_>, job: &Locked, priority: i32, now: i64) -> Result<(), StoreError> {
    let (first, last) = (job.first_id, job.last_id());
    db.run(SET_TASK_PRIORITY, &[&first, &last, &priority, &now]).await?;
    db.run(MOVE, &[&first, &last, &neg_priority(priority)]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_searches_the_tasks_of_the_job() {
        assert_searches(SET_HELD, &["ready"]);
        assert_searches(MOVE, &["ready"]);
    }
}
