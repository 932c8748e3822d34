//! Reading of schedules and of their runs.

use std::sync::Arc;

use mitosis_domain::ids::{GroupId, ScheduleId, UserId};
use mitosis_protocol::Timestamp;
use mitosis_protocol::schedule::ScheduleRun;

use crate::StoreError;
use crate::db::{Db, List, Params, Row, Sql, sql};
use crate::enum_codes::row_count;
use crate::ops::schedules::{Schedule, ScheduleQuery, ScheduleSettings, SeenSchedule};

macro_rules! select_schedule {
    () => {
        "
    SELECT s.id, s.group_id, g.name AS group_name, s.creator_id, u.username AS creator, s.name, s.cron, s.zone, s.overlap,
           s.catch_up, s.paused, s.next_due, s.version, s.created_at, s.updated_at,
           r.due, r.until, r.handled_at, r.requested, r.outcome, r.job_id, r.reason
    FROM schedule s INNER JOIN groups g ON g.id = s.group_id INNER JOIN users u ON u.id = s.creator_id
    LEFT JOIN schedule_run r ON r.schedule_id = s.id AND r.number = s.runs"
    };
}

const SCHEDULE: Sql = sql!(concat!(select_schedule!(), " WHERE s.id = $1"));

const SCHEDULES: Sql = sql!(concat!(
    select_schedule!(),
    "
    WHERE s.group_id = ANY($1) AND ($2::text IS NULL OR u.username = $2) AND ($3::text IS NULL OR s.name = $3)
      AND s.id > $4
    ORDER BY s.id LIMIT $5"
));

const DUE: Sql = sql!(concat!(
    select_schedule!(),
    "
    WHERE s.next_due <= $1 AND (s.next_due > $2 OR (s.next_due = $2 AND s.id > $3))
    ORDER BY s.next_due, s.id LIMIT $4"
));

/// The schedule with this number.
pub(super) async fn schedule(db: Db<'_>, id: ScheduleId) -> Result<Option<Schedule>, StoreError> {
    db.optional(SCHEDULE, &[&id.0], read).await
}

/// A page of schedules.
pub(super) async fn schedules(db: Db<'_>, query: &ScheduleQuery) -> Result<Vec<Schedule>, StoreError> {
    let after = query.after.map_or(0, |after| after.0);
    let groups: Vec<i64> = query.groups.iter().map(|group| group.0).collect();
    let params: Params<'_> = &[&List(&groups), &query.creator, &query.name, &after, &row_count(query.limit)];
    db.all(SCHEDULES, params, read).await
}

/// Schedules with a due run, in the order of due times.
pub(super) async fn due(
    db: Db<'_>,
    now: Timestamp,
    after: Option<(Timestamp, ScheduleId)>,
    limit: u64,
) -> Result<Vec<Schedule>, StoreError> {
    let (after, id) = after.map_or((i64::MIN, 0), |(due, id)| (due.unix_micros(), id.0));
    db.all(DUE, &[&now.unix_micros(), &after, &id, &row_count(limit)], read).await
}

fn read(row: &Row<'_>) -> Result<Schedule, StoreError> {
    let has_run = row.value::<Option<i64>>("due")?.is_some();
    Ok(Schedule {
        id: ScheduleId(row.value("id")?),
        group: GroupId(row.value("group_id")?),
        group_name: row.value("group_name")?,
        creator: UserId(row.value("creator_id")?),
        creator_name: row.value("creator")?,
        name: row.value("name")?,
        settings: ScheduleSettings {
            cron: row.value("cron")?,
            zone: row.value("zone")?,
            overlap: row.code("overlap")?,
            catch_up: row.code("catch_up")?,
            paused: row.value("paused")?,
        },
        seen: SeenSchedule { version: row.value("version")?, next_due: row.optional_time("next_due")? },
        last_run: has_run.then(|| read_run(row)).transpose()?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

const BLUEPRINT: Sql = sql!("SELECT blueprint FROM schedule WHERE id = $1");

/// The job of a schedule.
pub(super) async fn blueprint(db: Db<'_>, id: ScheduleId) -> Result<Option<Arc<str>>, StoreError> {
    db.optional(BLUEPRINT, &[&id.0], |row| Ok(row.value::<String>("blueprint")?.into())).await
}

const RUNS: Sql = sql!(
    "
    SELECT due, until, handled_at, requested, outcome, job_id, reason FROM schedule_run
    WHERE schedule_id = $1 ORDER BY number DESC"
);

/// The kept runs, newest first.
pub(super) async fn runs(db: Db<'_>, id: ScheduleId) -> Result<Vec<ScheduleRun>, StoreError> {
    db.all(RUNS, &[&id.0], read_run).await
}

fn read_run(row: &Row<'_>) -> Result<ScheduleRun, StoreError> {
    Ok(ScheduleRun {
        due: row.time("due")?,
        until: row.optional_time("until")?,
        handled_at: row.time("handled_at")?,
        requested: row.value("requested")?,
        outcome: row.code("outcome")?,
        job: row.value("job_id")?,
        reason: row.value("reason")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_searches_due_schedules() {
        assert_searches(SCHEDULE, &["s", "g", "u", "r"]);
        assert_searches(SCHEDULES, &["s", "g", "u", "r"]);
        assert_searches(DUE, &["s", "g", "u", "r"]);
        assert_searches(RUNS, &["schedule_run"]);
    }
}
