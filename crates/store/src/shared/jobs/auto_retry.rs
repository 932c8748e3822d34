//! Further attempts of failed tasks, as the policy of their job requires. They are decided in the transaction that commits
//! the failed attempt, so a task that is retried never appears as ended.

use std::collections::{BTreeMap, HashMap};

use mitosis_domain::ids::{JobId, TaskId};
use mitosis_domain::retry::{FailureCause, next_attempt};
use mitosis_domain::task::{ExecEnd, outcome};
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::job::{StopCause, TaskOutcome};
use mitosis_protocol::retry::RetryPolicy;
use mitosis_protocol::{TaskResult, Timestamp};

use super::counts::CountChanges;
use super::reopen::{Hold, RetriedBy, reopen};
use crate::StoreError;
use crate::db::{Db, List, Sql, only, sql};
use crate::enum_codes::Code as _;
use crate::ops::Effects;
use crate::ops::jobs::CountChange;

/// A failed attempt of a task of a job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed {
    task: TaskId,
    job: JobId,
    outcome: TaskOutcome,
    cause: FailureCause,
}

impl Failed {
    /// The failure of an attempt that has ended; none if it did not fail or its task has no job.
    pub(crate) fn of(task: TaskId, job: Option<JobId>, end: ExecEnd, result: TaskResult) -> Option<Self> {
        let (job, cause) = (job?, FailureCause::of(end, result)?);
        Some(Self { task, job, outcome: outcome(end, result), cause })
    }
}

/// The tasks that have another attempt.
#[derive(Debug, Default)]
pub(crate) struct Retries(HashMap<TaskId, (Failed, Hold)>);

impl Retries {
    /// Whether a task has another attempt.
    pub(crate) fn includes(&self, task: TaskId) -> bool {
        self.0.contains_key(&task)
    }

    /// Moves the tasks to the queue, after everything else about their ended attempts was stored.
    pub(crate) async fn apply(
        self,
        db: Db<'_>,
        counts: &mut CountChanges,
        now: Timestamp,
    ) -> Result<Effects, StoreError> {
        let mut by_hold: BTreeMap<Hold, Vec<i64>> = BTreeMap::new();
        for (task, (failed, hold)) in self.0 {
            by_hold.entry(hold).or_default().push(task.0);
            let change = CountChange { waiting: 1, ..CountChange::ended(failed.outcome, -1) };
            counts.add(Some(failed.job), change);
        }
        let mut effects = Effects::default();
        for (hold, tasks) in by_hold {
            effects.add(reopen(db, &tasks, RetriedBy::Policy, hold, now).await?);
        }
        Ok(effects)
    }
}

const WITH_POLICY: Sql = sql!("SELECT id FROM job WHERE id = ANY($1) AND retry IS NOT NULL");

/// A change of the job comes either before or after.
const LOCK_JOBS: &str = "SELECT 1 FROM job WHERE id = ANY($1) ORDER BY id FOR SHARE";

const POLICIES: Sql = sql!(
    "
    SELECT j.id, j.retry, j.paused OR j.max_running IS NOT NULL AS is_held
    FROM job j INNER JOIN groups g ON g.id = j.group_id
    WHERE j.id = ANY($1) AND j.retry IS NOT NULL AND g.state <> $2
      -- A job that writes no more tasks because of others still runs those that it wrote.
      AND (j.stop_cause IS NULL OR j.stop_cause = $3)"
);

/// The policy of a job, and whether its waiting tasks are held.
struct Policy {
    retry: RetryPolicy,
    is_held: bool,
}

/// Earlier retries by the policy, since a user has last retried the task.
const USED: Sql = sql!(
    "
    SELECT a.task_id, count(*) AS used FROM attempt a
    WHERE a.task_id = ANY($1) AND a.retried_by = $2 AND a.epoch > coalesce((
        SELECT max(u.epoch) FROM attempt u WHERE u.task_id = a.task_id AND u.retried_by = $3), -1)
    GROUP BY a.task_id"
);

/// Decides which of the failed attempts are followed by another.
pub(crate) async fn decide(db: Db<'_>, failed: &[Failed], now: Timestamp) -> Result<Retries, StoreError> {
    if failed.is_empty() {
        return Ok(Retries::default());
    }
    let jobs: Vec<i64> = failed.iter().map(|failed| failed.job.0).collect();
    let jobs: Vec<i64> = db.all(WITH_POLICY, &[&List(&jobs)], only).await?;
    if jobs.is_empty() {
        return Ok(Retries::default());
    }
    db.lock(LOCK_JOBS, &[&List(&jobs)]).await?;
    let cut = StopCause::DependencyFailed.code();
    let policies: HashMap<JobId, Policy> = db
        .all(POLICIES, &[&List(&jobs), &AccountState::Deleted.code(), &cut], |row| {
            let policy = Policy { retry: row.json("retry")?, is_held: row.value("is_held")? };
            Ok((JobId(row.value("id")?), policy))
        })
        .await?;
    let tasks: Vec<i64> = failed.iter().map(|failed| failed.task.0).collect();
    let used: HashMap<i64, i64> = db
        .all(USED, &[&List(&tasks), &RetriedBy::Policy.code(), &RetriedBy::User.code()], |row| {
            Ok((row.value("task_id")?, row.value("used")?))
        })
        .await?;
    let hold = |failed: &Failed| {
        let policy = policies.get(&failed.job)?;
        let used = used.get(&failed.task.0).copied().unwrap_or_default();
        let wait = next_attempt(&policy.retry, failed.cause, u32::try_from(used).unwrap_or(u32::MAX))?;
        Some(match (wait.is_zero(), policy.is_held) {
            (false, _) => Hold::Until(now + wait),
            (true, true) => Hold::Held,
            (true, false) => Hold::Free,
        })
    };
    Ok(Retries(failed.iter().filter_map(|failed| Some((failed.task, (*failed, hold(failed)?)))).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_searches_by_key() {
        assert_searches(WITH_POLICY, &["job"]);
        assert_searches(POLICIES, &["j", "g"]);
        assert_searches(USED, &["a", "u"]);
    }
}
