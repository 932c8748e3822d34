//! Creation, change and removal of schedules.

use mitosis_domain::ids::{GroupId, ScheduleId, UserId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_protocol::schedule::MAX_SCHEDULES;

use super::super::rights;
use super::runs::lock;
use crate::StoreError;
use crate::db::{Db, Params, Sql, read_count, sql};
use crate::enum_codes::Code;
use crate::ops::Actor;
use crate::ops::schedules::{NewSchedule, ScheduleCreation, ScheduleSettings, ScheduleUpdate, SeenSchedule};

const INSERT: Sql = sql!(
    "
    INSERT INTO schedule (group_id, creator_id, name, cron, zone, overlap, catch_up, paused, blueprint, next_due, created_at,
                          updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
    ON CONFLICT (group_id, name) DO NOTHING RETURNING id"
);

/// Concurrent creations are counted one after the other. Changes of members lock the group first, too.
const SERIALIZE: &str = "SELECT 1 FROM groups WHERE id = $1 FOR NO KEY UPDATE";

const COUNT: Sql = sql!("SELECT count(*) FROM schedule WHERE group_id = $1");

/// Inserts a schedule.
pub(super) async fn create(
    db: Db<'_>,
    creator: UserId,
    new: &NewSchedule,
    now: Timestamp,
) -> Result<ScheduleCreation, StoreError> {
    db.lock(SERIALIZE, &[&new.group.0]).await?;
    if !rights::may(db, Actor::User(creator), new.group, Action::Submit).await? {
        return Ok(ScheduleCreation::Denied);
    }
    if db.one(COUNT, &[&new.group.0], read_count).await? >= MAX_SCHEDULES {
        return Ok(ScheduleCreation::TooMany);
    }
    let ScheduleSettings { cron, zone, overlap, catch_up, paused } = &new.settings;
    let params: Params<'_> = &[
        &new.group.0,
        &creator.0,
        &new.name,
        cron,
        zone,
        &overlap.code(),
        &catch_up.code(),
        paused,
        &&*new.blueprint,
        &new.next_due.map(Timestamp::unix_micros),
        &now.unix_micros(),
    ];
    let inserted = db.optional(INSERT, params, |row| row.get(0).map(ScheduleId)).await?;
    Ok(inserted.map_or(ScheduleCreation::NameTaken, ScheduleCreation::Created))
}

/// New settings, and the state of the schedule that they are based on.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) seen: SeenSchedule,
    pub(super) settings: ScheduleSettings,
    pub(super) next_due: Option<Timestamp>,
}

const SET: Sql = sql!(
    "
    UPDATE schedule
    SET cron = $2, zone = $3, overlap = $4, catch_up = $5, paused = $6, next_due = $7, version = version + 1, updated_at = $8
    WHERE id = $1"
);

/// Sets the settings of a schedule.
pub(super) async fn change(
    db: Db<'_>,
    by: Actor,
    id: ScheduleId,
    change: &Change,
    now: Timestamp,
) -> Result<ScheduleUpdate, StoreError> {
    let Some(schedule) = lock(db, id).await? else { return Ok(ScheduleUpdate::Denied) };
    if !may_manage(db, by, schedule.group).await? {
        return Ok(ScheduleUpdate::Denied);
    }
    if schedule.seen != change.seen {
        return Ok(ScheduleUpdate::Moved);
    }
    let ScheduleSettings { cron, zone, overlap, catch_up, paused } = &change.settings;
    let params: Params<'_> = &[
        &id.0,
        cron,
        zone,
        &overlap.code(),
        &catch_up.code(),
        paused,
        &change.next_due.map(Timestamp::unix_micros),
        &now.unix_micros(),
    ];
    db.run_one(SET, params).await?;
    Ok(ScheduleUpdate::Done)
}

async fn may_manage(db: Db<'_>, by: Actor, group: GroupId) -> Result<bool, StoreError> {
    rights::may(db, by, group, Action::ManageTasks).await
}

/// The deletions of a schedule; `$1` is its number.
const DELETE: [Sql; 2] =
    [sql!("DELETE FROM schedule_run WHERE schedule_id = $1"), sql!("DELETE FROM schedule WHERE id = $1")];

/// Deletes a schedule.
pub(super) async fn remove(db: Db<'_>, by: Actor, id: ScheduleId) -> Result<bool, StoreError> {
    let Some(schedule) = lock(db, id).await? else { return Ok(false) };
    if !may_manage(db, by, schedule.group).await? {
        return Ok(false);
    }
    for delete in DELETE {
        db.run(delete, &[&id.0]).await?;
    }
    Ok(true)
}

/// Pauses the schedules of a deleted group: without members, no user may submit their jobs.
pub(crate) const PAUSE_ALL: Sql = sql!(
    "
    UPDATE schedule SET paused = TRUE, next_due = NULL, version = version + 1, updated_at = $2
    WHERE group_id = $1 AND NOT paused"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_searches_the_schedules_of_a_group() {
        assert_searches(PAUSE_ALL, &["schedule"]);
        assert_searches(DELETE[0], &["schedule_run"]);
    }
}
