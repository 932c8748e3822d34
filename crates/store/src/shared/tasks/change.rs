//! Changes of waiting tasks.

use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::permission::Action;
use mitosis_domain::timeout::Timeout;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::rights;
use super::{insert, intern};
use crate::StoreError;
use crate::db::{Db, Json, Params, Sql, sql};
use crate::enum_codes::{neg_priority, silence_limit};
use crate::ops::tasks::TaskChange;
use crate::ops::{Actor, Changed, Effects};
use crate::references;

struct Waiting {
    id: i64,
    group: GroupId,
    creator: UserId,
    lane: i64,
    priority: i32,
}

/// Locks the task in the queue, so that it can't be claimed at the same time.
const FIND_READY: Sql = sql!(
    "
    SELECT t.id, t.group_id, t.creator_id, t.lane_id, t.priority
    FROM task t INNER JOIN ready r ON r.task_id = t.id
    WHERE t.uuid = $1
    FOR UPDATE OF r"
);

const CHANGE_TASK: Sql = sql!(
    "
    UPDATE task SET
        lane_id = $2,
        priority = $3,
        timeout_seconds = coalesce($4, timeout_seconds),
        spec = coalesce($5, spec),
        lost_after = CASE WHEN $5 IS NULL THEN lost_after ELSE $7 END,
        updated_at = $6
    WHERE id = $1"
);

/// Attempts, losses and age of the task are kept.
const MOVE_READY: Sql = sql!("UPDATE ready SET lane_id = $2, neg_priority = $3 WHERE task_id = $1");

/// Changes the task if it is Ready and the user may change it; otherwise returns false.
pub(super) async fn change(
    db: Db<'_>,
    actor: Actor,
    uuid: Uuid,
    change: &TaskChange,
    now: Timestamp,
) -> Result<Changed<bool>, StoreError> {
    let found = db
        .optional(FIND_READY, &[&uuid], |row| {
            Ok(Waiting {
                id: row.value("id")?,
                group: GroupId(row.value("group_id")?),
                creator: UserId(row.value("creator_id")?),
                lane: row.value("lane_id")?,
                priority: row.value("priority")?,
            })
        })
        .await?;
    let Some(task) = found else { return Ok(Changed::nothing(false)) };
    if !rights::may(db, actor, task.group, Action::ManageTasks).await?
        || !may_refer(db, actor, task.creator, change).await?
    {
        return Ok(Changed::nothing(false));
    }
    let lane = match (&change.tags, &change.spec) {
        (None, None) => task.lane,
        (tags, spec) => {
            let mut lane = intern::Lane::read(db, task.lane).await?;
            if let Some(tags) = tags {
                lane = lane.with_tags(tags.clone());
            }
            if let Some(spec) = spec {
                lane = lane.with_request(&spec.request)?;
            }
            lane.id(db).await?.0
        }
    };
    let priority = match change.priority {
        // The legacy protocol has no bounds, so its clients don't expect a refusal.
        Some(wanted) => rights::priority_bound(db, actor, task.group)
            .await?
            .map_or(wanted, |most| wanted.min(most.max(task.priority))),
        None => task.priority,
    };
    let spec = change.spec.as_ref().map(Json);
    let limit = change.spec.as_ref().and_then(silence_limit);
    let params: Params<'_> = &[
        &task.id,
        &lane,
        &priority,
        &change.timeout.map(Timeout::as_secs),
        &spec,
        &now.unix_micros(),
        &limit,
    ];
    db.run_one(CHANGE_TASK, params).await?;
    if let Some(spec) = &change.spec {
        insert::replace_references(db, task.id, spec).await?;
    }
    db.run_one(MOVE_READY, &[&task.id, &lane, &neg_priority(priority)]).await?;
    // Other workers than before may run it.
    Ok(Effects::ready().with(true))
}

/// The creator stays the same, and the task uses the creator's rights when it runs. So the creator and the user
/// who changes it must both be allowed to see the tasks that the new spec refers to.
async fn may_refer(
    db: Db<'_>,
    actor: Actor,
    creator: UserId,
    change: &TaskChange,
) -> Result<bool, StoreError> {
    let (Some(spec), Actor::User(user)) = (&change.spec, actor) else { return Ok(true) };
    let named: Vec<Uuid> = references::referenced_by(spec).into_iter().collect();
    Ok(rights::may_see_all(db, user, &named).await? && rights::may_see_all(db, creator, &named).await?)
}
