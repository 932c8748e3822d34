//! Lists of everything on a site, for its administrators.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::task::outcome;
use mitosis_protocol::activity::ActivityMinute;
use mitosis_protocol::admin::UsageCounts;
use mitosis_protocol::job::TaskOutcome;
use mitosis_protocol::{TaskResult, Timestamp, WaitStatus};

use super::accounts::read_user;
use super::jobs::read::all_jobs;
use super::jobs::reopen::RetriedBy;
use super::workers::get;
use crate::StoreError;
use crate::backend::{Backend, is_timeout};
use crate::db::{Db, Params, Row, Sql, sql};
use crate::enum_codes::{Code as _, row_count};
use crate::ops::jobs::Job;
use crate::ops::query::{FoundWorkers, WorkerPage};
use crate::ops::site::{AllJobs, ListedGroup, ListedUser, MinuteOfGroup, Site, Usage};

#[async_trait]
impl<B: Backend> Site for B {
    async fn all_users(&self, after: Option<UserId>, limit: u64) -> Result<Vec<ListedUser>, StoreError> {
        let after = after.map_or(0, |user| user.0);
        self.read_for_user((after, limit), |db, (after, limit)| Box::pin(users(db, *after, *limit))).await
    }

    async fn all_groups(&self, after: Option<GroupId>, limit: u64) -> Result<Vec<ListedGroup>, StoreError> {
        let after = after.map_or(0, |group| group.0);
        self.read_for_user((after, limit), |db, (after, limit)| Box::pin(groups(db, *after, *limit))).await
    }

    async fn all_workers(&self, page: WorkerPage) -> Result<FoundWorkers, StoreError> {
        self.read_for_user(page, |db, page| Box::pin(get::page(db, None, *page))).await
    }

    async fn all_jobs(&self, query: &AllJobs) -> Result<Vec<Job>, StoreError> {
        self.read_for_user(query.clone(), |db, query| Box::pin(all_jobs(db, query))).await
    }

    async fn usage(
        &self,
        since: Timestamp,
        until: Timestamp,
        within: Duration,
    ) -> Result<Option<Vec<Usage>>, StoreError> {
        let read = self
            .read_for_user_within(within, (since, until), |db, (since, until)| {
                Box::pin(usage(db, *since, *until))
            })
            .await;
        match read {
            Ok(usage) => Ok(Some(usage)),
            Err(error) if is_timeout(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn activity(
        &self,
        since: Timestamp,
        until: Timestamp,
        within: Duration,
    ) -> Result<Option<Vec<MinuteOfGroup>>, StoreError> {
        let read = self
            .read_for_user_within(within, (since, until), |db, (since, until)| {
                Box::pin(activity(db, *since, *until))
            })
            .await;
        match read {
            Ok(minutes) => Ok(Some(minutes)),
            Err(error) if is_timeout(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

const USERS: Sql = sql!(
    "
    SELECT id, username, password_hash, session, admin, state, group_quota, group_count, created_at, current_sign_in_at
    FROM users WHERE id > $1 ORDER BY id LIMIT $2"
);

async fn users(db: Db<'_>, after: i64, limit: u64) -> Result<Vec<ListedUser>, StoreError> {
    db.all(USERS, &[&after, &row_count(limit)], |row| {
        let last_login_at = row.optional_time("current_sign_in_at")?;
        Ok(ListedUser { user: read_user(row)?, last_login_at })
    })
    .await
}

const GROUPS: Sql = sql!(
    "
    SELECT g.id, g.name, u.username AS creator, g.state, g.task_count, g.storage_quota, g.storage_used, g.weight, g.created_at,
           (SELECT count(*) FROM membership m WHERE m.group_id = g.id) AS members
    FROM groups g INNER JOIN users u ON u.id = g.creator_id
    WHERE g.id > $1 ORDER BY g.id LIMIT $2"
);

async fn groups(db: Db<'_>, after: i64, limit: u64) -> Result<Vec<ListedGroup>, StoreError> {
    db.all(GROUPS, &[&after, &row_count(limit)], |row| {
        Ok(ListedGroup {
            id: GroupId(row.value("id")?),
            name: row.value("name")?,
            creator_name: row.value("creator")?,
            state: row.code("state")?,
            members: unsigned(row, "members")?,
            tasks: unsigned(row, "task_count")?,
            storage_quota: row.value("storage_quota")?,
            storage_used: row.value("storage_used")?,
            weight: row.value::<i32>("weight")?.unsigned_abs(),
            created_at: row.time("created_at")?,
        })
    })
    .await
}

/// The ends of a time, found by their index, and those of earlier attempts of tasks that were retried since; lost ones don't
/// count. Nothing is joined before the sums are made but the task, which is found by its key.
const USAGE: Sql = sql!(
    "
    SELECT u.username AS creator, g.name AS group_name, sums.state, sums.message, sums.is_success, sums.attempts,
           sums.micros, sums.cpu_micros
    FROM (SELECT t.creator_id, t.group_id, ended.state, ended.message, ended.exit_status = 0 AS is_success,
                 count(*) AS attempts, sum(coalesce(ended.finished_at - ended.claimed_at, 0))::bigint AS micros,
                 sum(coalesce(ended.cpu_micros, 0))::bigint AS cpu_micros
          FROM (SELECT task_id, state, message, exit_status, claimed_at, finished_at, cpu_micros FROM done
                WHERE finished_at >= $1 AND finished_at < $2
                UNION ALL
                SELECT task_id, state, message, exit_status, claimed_at, finished_at, cpu_micros FROM attempt
                WHERE finished_at >= $1 AND finished_at < $2 AND retried_by <> $3) ended
          INNER JOIN task t ON t.id = ended.task_id
          GROUP BY t.creator_id, t.group_id, ended.state, ended.message, ended.exit_status = 0) sums
    INNER JOIN users u ON u.id = sums.creator_id
    INNER JOIN groups g ON g.id = sums.group_id"
);

async fn usage(db: Db<'_>, since: Timestamp, until: Timestamp) -> Result<Vec<Usage>, StoreError> {
    let params: Params<'_> = &[&since.unix_micros(), &until.unix_micros(), &RetriedBy::Loss.code()];
    let rows: Vec<((String, String), UsageCounts)> = db.all(USAGE, params, read_usage).await?;
    let mut sums: BTreeMap<(String, String), UsageCounts> = BTreeMap::new();
    for (key, counts) in rows {
        sums.entry(key).or_default().add(&counts);
    }
    Ok(sums.into_iter().map(|((user, group), counts)| Usage { user, group, counts }).collect())
}

fn read_usage(row: &Row<'_>) -> Result<((String, String), UsageCounts), StoreError> {
    let attempts = unsigned(row, "attempts")?;
    let seconds = |column| Ok::<_, StoreError>(unsigned(row, column)? / 1_000_000);
    let mut counts = UsageCounts {
        slot_seconds: seconds("micros")?,
        cpu_seconds: seconds("cpu_micros")?,
        ..UsageCounts::default()
    };
    let place = match read_outcome(row)? {
        TaskOutcome::Succeeded => &mut counts.succeeded,
        TaskOutcome::Failed => &mut counts.failed,
        TaskOutcome::TimedOut => &mut counts.timed_out,
        TaskOutcome::Cancelled => &mut counts.cancelled,
    };
    *place = attempts;
    Ok(((row.value("creator")?, row.value("group_name")?), counts))
}

/// The ends of a time by minute and group, found as in [`USAGE`].
const ACTIVITY: Sql = sql!(
    "
    SELECT ended.finished_at / 60000000 AS minute, t.group_id, ended.state, ended.message,
           ended.exit_status = 0 AS is_success, count(*) AS attempts
    FROM (SELECT task_id, state, message, exit_status, finished_at FROM done
          WHERE finished_at >= $1 AND finished_at < $2
          UNION ALL
          SELECT task_id, state, message, exit_status, finished_at FROM attempt
          WHERE finished_at >= $1 AND finished_at < $2 AND retried_by <> $3) ended
    INNER JOIN task t ON t.id = ended.task_id
    GROUP BY ended.finished_at / 60000000, t.group_id, ended.state, ended.message, ended.exit_status = 0"
);

async fn activity(db: Db<'_>, since: Timestamp, until: Timestamp) -> Result<Vec<MinuteOfGroup>, StoreError> {
    let params: Params<'_> = &[&since.unix_micros(), &until.unix_micros(), &RetriedBy::Loss.code()];
    let rows: Vec<((i64, i64), ActivityMinute)> = db.all(ACTIVITY, params, read_activity).await?;
    let mut sums: BTreeMap<(i64, i64), ActivityMinute> = BTreeMap::new();
    for (key, counts) in rows {
        sums.entry(key).or_default().add(&counts);
    }
    let minute = |((minute, group), counts)| MinuteOfGroup { minute, group: GroupId(group), counts };
    Ok(sums.into_iter().map(minute).collect())
}

fn read_activity(row: &Row<'_>) -> Result<((i64, i64), ActivityMinute), StoreError> {
    let mut counts = ActivityMinute::default();
    let place = match read_outcome(row)? {
        TaskOutcome::Succeeded => &mut counts.succeeded,
        TaskOutcome::Failed => &mut counts.failed,
        TaskOutcome::TimedOut => &mut counts.timed_out,
        TaskOutcome::Cancelled => &mut counts.cancelled,
    };
    *place = unsigned(row, "attempts")?;
    Ok(((row.value("minute")?, row.value("group_id")?), counts))
}

/// How the attempts of a row ended. The status is only known to be 0 or not.
fn read_outcome(row: &Row<'_>) -> Result<TaskOutcome, StoreError> {
    let exit_status = WaitStatus(i32::from(!row.value::<bool>("is_success")?));
    let result = TaskResult { exit_status, msg: row.optional_code("message")? };
    Ok(outcome(row.code("state")?, result))
}

fn unsigned(row: &Row<'_>, column: &str) -> Result<u64, StoreError> {
    Ok(row.value::<i64>(column)?.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::steps;

    #[test]
    fn sums_read_only_the_ends_of_their_time() {
        for statement in [USAGE, ACTIVITY] {
            assert_reads_ends(statement);
        }
    }

    fn assert_reads_ends(statement: Sql) {
        let steps = steps(statement);
        let is_scan =
            |step: &&String| step.contains("SCAN") && (step.contains("done") || step.contains(" t"));
        for index in ["done_by_time", "attempt_by_time"] {
            assert!(steps.iter().any(|step| step.contains(index)), "{steps:#?}");
        }
        assert_eq!(steps.iter().filter(is_scan).count(), 0, "{steps:#?}");
    }
}
