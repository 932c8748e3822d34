//! Named limits of groups, and the sets of limits that tasks use.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use mitosis_domain::explain::AtLimit;
use mitosis_domain::ids::{GroupId, JobId, LimitSetId};
use mitosis_domain::name::Name;
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_protocol::limit::{LimitInfo, LimitUse};

use super::dispatch::room::in_use;
use super::rights;
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, List, Params, Row, Sql, only, sql, to_json};
use crate::enum_codes::row_count;
use crate::ops::jobs::Refusal;
use crate::ops::limits::{LISTED_JOBS, LimitRemoval, Limits};
use crate::ops::{Actor, Changed, Effects};

#[async_trait]
impl<B: Backend> Limits for B {
    async fn set_limit(
        &self,
        by: Actor,
        group: GroupId,
        name: &Name,
        value: u64,
        now: Timestamp,
    ) -> Result<Changed<bool>, StoreError> {
        self.write((by, group, name.clone(), value, now), |db, (by, group, name, value, now)| {
            Box::pin(set(db, *by, *group, name, *value, *now))
        })
        .await
    }

    async fn remove_limit(
        &self,
        by: Actor,
        group: GroupId,
        name: &str,
        now: Timestamp,
    ) -> Result<LimitRemoval, StoreError> {
        self.write((by, group, name.to_owned(), now), |db, (by, group, name, now)| {
            Box::pin(remove(db, *by, *group, name, *now))
        })
        .await
    }

    async fn limits(&self, group: GroupId) -> Result<Vec<LimitInfo>, StoreError> {
        self.read(group, |db, group| Box::pin(of_group(db, *group))).await
    }
}

const SET: Sql = sql!(
    "
    INSERT INTO named_limit (group_id, name, value, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
    ON CONFLICT (group_id, name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"
);

async fn set(
    db: Db<'_>,
    by: Actor,
    group: GroupId,
    name: &Name,
    value: u64,
    now: Timestamp,
) -> Result<Changed<bool>, StoreError> {
    if !rights::may(db, by, group, Action::ManageLimits).await? {
        return Ok(Changed::nothing(false));
    }
    db.run_one(SET, &[&group.0, &name.as_str(), &row_count(value), &now.unix_micros()]).await?;
    Ok(Effects::ready().with(true))
}

const FIND: Sql = sql!(
    "
    SELECT id FROM named_limit WHERE group_id = $1 AND name = $2 AND value IS NOT NULL FOR UPDATE"
);

const USERS: Sql = sql!(
    "
    SELECT id FROM job
    WHERE ended_at IS NULL AND limit_set_id IN (SELECT set_id FROM limit_set_use WHERE limit_id = $1)
    ORDER BY id LIMIT $2"
);

/// The row stays: sets of limits refer to it.
const REMOVE: Sql = sql!("UPDATE named_limit SET value = NULL, updated_at = $2 WHERE id = $1");

async fn remove(
    db: Db<'_>,
    by: Actor,
    group: GroupId,
    name: &str,
    now: Timestamp,
) -> Result<LimitRemoval, StoreError> {
    if !rights::may(db, by, group, Action::ManageLimits).await? {
        return Ok(LimitRemoval::Denied);
    }
    // A submission that uses the limit locks it, too: it comes either before or after.
    let Some(limit) = db.optional(FIND, &[&group.0, &name], only::<i64>).await? else {
        return Ok(LimitRemoval::Unknown);
    };
    let users: Vec<JobId> =
        db.all(USERS, &[&limit, &row_count(LISTED_JOBS)], |row| row.get(0).map(JobId)).await?;
    if !users.is_empty() {
        return Ok(LimitRemoval::InUse(users));
    }
    db.run_one(REMOVE, &[&limit, &now.unix_micros()]).await?;
    Ok(LimitRemoval::Removed)
}

const OF_GROUP: Sql = sql!(concat!(
    "
    SELECT l.id, l.name, l.value, ",
    in_use!(),
    " AS in_use FROM named_limit l WHERE l.group_id = $1 AND l.value IS NOT NULL ORDER BY l.name"
));

async fn of_group(db: Db<'_>, group: GroupId) -> Result<Vec<LimitInfo>, StoreError> {
    let found: Vec<(i64, LimitInfo)> =
        db.all(OF_GROUP, &[&group.0], |row| Ok((row.value("id")?, read(row)?))).await?;
    let mut limits = Vec::with_capacity(found.len());
    for (id, mut limit) in found {
        if limit.in_use > 0 {
            limit.jobs = jobs_using(db, id).await?;
        }
        limits.push(limit);
    }
    Ok(limits)
}

fn read(row: &Row<'_>) -> Result<LimitInfo, StoreError> {
    Ok(LimitInfo {
        name: row.value("name")?,
        value: row.value::<Option<i64>>("value")?.unwrap_or(0).unsigned_abs(),
        in_use: row.value::<i64>("in_use")?.unsigned_abs(),
        jobs: Vec::new(),
    })
}

const JOBS_USING: Sql = sql!(
    "
    SELECT DISTINCT t.job_id
    FROM limit_set_use u INNER JOIN lease l ON l.limit_set_id = u.set_id INNER JOIN task t ON t.id = l.task_id
    WHERE u.limit_id = $1 AND t.job_id IS NOT NULL ORDER BY t.job_id LIMIT $2"
);

async fn jobs_using(db: Db<'_>, limit: i64) -> Result<Vec<i64>, StoreError> {
    db.all(JOBS_USING, &[&limit, &row_count(LISTED_JOBS)], only).await
}

const OF_TASK: Sql = sql!(concat!(
    "
    SELECT l.id, l.name, l.value, u.uses, ",
    in_use!(),
    " AS in_use
    FROM task t INNER JOIN lane ON lane.id = t.lane_id INNER JOIN limit_set_use u ON u.set_id = lane.limit_set_id
    INNER JOIN named_limit l ON l.id = u.limit_id
    WHERE t.id = $1 ORDER BY l.name"
));

/// The first limit that does not let a waiting task start.
pub(crate) async fn exhausted(db: Db<'_>, task: i64) -> Result<Option<AtLimit>, StoreError> {
    let used: Vec<(i64, AtLimit)> = db
        .all(OF_TASK, &[&task], |row| {
            let is_removed = row.value::<Option<i64>>("value")?.is_none();
            let uses = row.value::<i64>("uses")?.unsigned_abs();
            Ok((row.value("id")?, AtLimit { limit: read(row)?, uses, is_removed }))
        })
        .await?;
    let is_short = |of: &AtLimit| of.limit.in_use.saturating_add(of.uses) > of.limit.value;
    let Some((id, mut short)) = used.into_iter().find(|(_, of)| is_short(of)) else { return Ok(None) };
    short.limit.jobs = jobs_using(db, id).await?;
    Ok(Some(short))
}

/// The limits that some jobs use, by group and name, with their values. They can't be removed before the end of the
/// transaction.
pub(crate) struct UsedLimits(HashMap<(GroupId, String), (i64, i64)>);

/// The order prevents deadlocks.
const USED: Sql = sql!(
    "
    SELECT id, group_id, name, value FROM named_limit
    WHERE group_id = ANY($1) AND name = ANY($2) AND value IS NOT NULL
    ORDER BY id FOR SHARE"
);

impl UsedLimits {
    /// Locks the limits that jobs of groups use.
    pub(crate) async fn lock(
        db: Db<'_>,
        jobs: impl Iterator<Item = (GroupId, &[LimitUse])>,
    ) -> Result<Self, StoreError> {
        let (mut groups, mut names) = (Vec::new(), Vec::new());
        for (group, limits) in jobs.filter(|(_, limits)| !limits.is_empty()) {
            groups.push(group.0);
            names.extend(limits.iter().map(|limit| limit.name.clone()));
        }
        groups.sort_unstable();
        groups.dedup();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        let read = |row: &Row<'_>| {
            let key = (GroupId(row.value("group_id")?), row.value("name")?);
            Ok((key, (row.value("id")?, row.value("value")?)))
        };
        Ok(Self(db.all(USED, &[&List(&groups), &List(&names)], read).await?))
    }

    /// What a task uses of each limit, by the ids of the limits; an error if it could never start.
    fn resolve(&self, group: GroupId, limits: &[LimitUse]) -> Result<BTreeMap<i64, i64>, Refusal> {
        let mut uses = BTreeMap::new();
        for LimitUse { name, uses: wanted } in limits {
            match self.0.get(&(group, name.clone())) {
                None => return Err(Refusal::UnknownLimit(name.clone())),
                Some((_, value)) if value.unsigned_abs() < *wanted => {
                    let (name, value) = (name.clone(), value.unsigned_abs());
                    return Err(Refusal::LimitTooSmall { name, value, uses: *wanted });
                }
                Some((id, _)) => uses.insert(*id, row_count(*wanted)),
            };
        }
        Ok(uses)
    }

    /// The sets of limits of jobs, in their order.
    pub(crate) async fn sets(
        &self,
        db: Db<'_>,
        jobs: impl Iterator<Item = (GroupId, &[LimitUse])>,
    ) -> Result<Result<Vec<Option<LimitSetId>>, Refusal>, StoreError> {
        let (mut known, mut sets) = (HashMap::new(), Vec::new());
        for (group, limits) in jobs {
            if limits.is_empty() {
                sets.push(None);
                continue;
            }
            let uses = match self.resolve(group, limits) {
                Ok(uses) => uses,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let set = match known.get(&uses) {
                Some(set) => *set,
                None => intern(db, &uses).await?,
            };
            known.insert(uses, set);
            sets.push(Some(set));
        }
        Ok(Ok(sets))
    }
}

const FIND_SET: Sql = sql!("SELECT id FROM limit_set WHERE uses = $1");

const INSERT_SET: Sql = sql!("INSERT INTO limit_set (uses) VALUES ($1) ON CONFLICT (uses) DO NOTHING");

const INSERT_USE: Sql = sql!(
    "
    INSERT INTO limit_set_use (set_id, limit_id, uses) VALUES ($1, $2, $3)
    ON CONFLICT (set_id, limit_id) DO NOTHING"
);

/// The id of a set of limits, which is inserted once.
async fn intern(db: Db<'_>, uses: &BTreeMap<i64, i64>) -> Result<LimitSetId, StoreError> {
    let text = to_json(&uses.iter().collect::<Vec<_>>())?;
    if let Some(known) = db.optional(FIND_SET, &[&text], only::<i64>).await? {
        return Ok(LimitSetId(known));
    }
    db.run(INSERT_SET, &[&text]).await?;
    let set: i64 = db.one(FIND_SET, &[&text], only).await?;
    for (limit, uses) in uses {
        let params: Params<'_> = &[&set, limit, uses];
        db.run(INSERT_USE, params).await?;
    }
    Ok(LimitSetId(set))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_limit_or_its_group() {
        assert_searches(FIND, &["named_limit"]);
        assert_searches(OF_GROUP, &["l", "held", "lease"]);
        assert_searches(JOBS_USING, &["u", "l", "t"]);
        assert_searches(OF_TASK, &["t", "lane", "u", "l", "held", "lease"]);
        assert_searches(USED, &["named_limit"]);
    }
}
