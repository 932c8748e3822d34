//! Checks of rights, inside the transaction that needs them.

use std::collections::{HashMap, HashSet};

use mitosis_domain::account::Membership;
use mitosis_domain::ids::{GroupId, UserId, WorkerId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Role;
use mitosis_protocol::admin::AccountState;
use uuid::Uuid;

use crate::StoreError;
use crate::db::{Db, List, Params, Sql, only, sql};
use crate::enum_codes::Code;
use crate::ops::Actor;

/// The membership of a user, locked until the end of the transaction. An account that is not active has none.
const ROLE: Sql = sql!(
    "
    SELECT m.role FROM membership m INNER JOIN users u ON u.id = m.user_id
    WHERE m.user_id = $1 AND m.group_id = $2 AND u.state = $3 FOR SHARE OF m"
);

/// Whether a user is an active administrator.
const IS_ADMINISTRATOR: Sql =
    sql!("SELECT EXISTS (SELECT 1 FROM users WHERE id = $1 AND admin AND state = $2)");

const HOLD_USER: &str = "SELECT 1 FROM users WHERE id = $1 FOR SHARE";

/// Whether the actor is the coordinator itself, or an administrator until the end of the transaction.
pub(crate) async fn is_administrator(db: Db<'_>, actor: Actor) -> Result<bool, StoreError> {
    match actor {
        Actor::System => Ok(true),
        Actor::User(_) => Ok(false),
        Actor::Administrator(user) => {
            db.lock(HOLD_USER, &[&user.0]).await?;
            db.one(IS_ADMINISTRATOR, &[&user.0, &AccountState::Active.code()], only).await
        }
    }
}

/// Returns the actor whose rights count in this transaction: an administrator may do everything, and a former
/// administrator has the rights of a user.
pub(crate) async fn resolve(db: Db<'_>, actor: Actor) -> Result<Actor, StoreError> {
    match is_administrator(db, actor).await? {
        true => Ok(Actor::System),
        false => Ok(actor),
    }
}

/// The membership of an actor in a group, until the end of the transaction.
pub(crate) async fn membership(db: Db<'_>, actor: Actor, group: GroupId) -> Result<Membership, StoreError> {
    let Some(user) = actor.code() else { return Ok(Membership::Member(group, Role::Admin)) };
    let role =
        db.optional(ROLE, &[&user, &group.0, &AccountState::Active.code()], |row| row.code("role")).await?;
    Ok(role.map_or(Membership::Outsider(group), |role| Membership::Member(group, role)))
}

/// Whether an actor may perform an action in a group, until the end of the transaction.
pub(crate) async fn may(
    db: Db<'_>,
    actor: Actor,
    group: GroupId,
    action: Action,
) -> Result<bool, StoreError> {
    let membership = membership(db, actor, group).await?;
    Ok(matches!(membership, Membership::Member(_, role) if action.allowed_to(role)))
}

const PRIORITY_BOUND: Sql = sql!(
    "
    SELECT g.write_priority FROM groups g
    WHERE g.id = $1 AND NOT EXISTS (
        SELECT 1 FROM membership m WHERE m.user_id = $2 AND m.group_id = g.id AND m.role >= $3)"
);

/// The largest priority that an actor may use in a group; none without a bound.
pub(crate) async fn priority_bound(
    db: Db<'_>,
    actor: Actor,
    group: GroupId,
) -> Result<Option<i32>, StoreError> {
    let Some(user) = actor.code() else { return Ok(None) };
    let params: Params<'_> = &[&group.0, &user, &Role::Admin.code()];
    Ok(db.optional(PRIORITY_BOUND, params, only::<Option<i32>>).await?.flatten())
}

const MAY_ON_WORKER: Sql = sql!(
    "
    SELECT EXISTS (
        SELECT 1 FROM worker_group w INNER JOIN membership m ON m.group_id = w.group_id AND m.user_id = $3
        INNER JOIN users u ON u.id = m.user_id
        WHERE w.worker_id = $1 AND w.role >= $2 AND m.role >= $4 AND u.state = $5)"
);

/// Whether an actor may perform an action in a group that has at least a given role on a locked worker.
pub(crate) async fn may_on_worker(
    db: Db<'_>,
    actor: Actor,
    worker: WorkerId,
    action: Action,
    on_worker: Role,
) -> Result<bool, StoreError> {
    let Some(user) = actor.code() else { return Ok(true) };
    let least = action.least_role().code();
    let params: Params<'_> = &[&worker.0, &on_worker.code(), &user, &least, &AccountState::Active.code()];
    db.one(MAY_ON_WORKER, params, only).await
}

/// Whether an actor controls a locked worker: Admin in a group that is Admin on it.
pub(crate) async fn controls(db: Db<'_>, actor: Actor, worker: WorkerId) -> Result<bool, StoreError> {
    may_on_worker(db, actor, worker, Action::ControlWorkers, Role::Admin).await
}

const REFERS_TO_INVISIBLE: Sql = sql!(
    "
    SELECT EXISTS (
        SELECT 1 FROM task t
        WHERE t.uuid = ANY($2::uuid[])
          AND NOT EXISTS (SELECT 1 FROM membership m WHERE m.user_id = $1 AND m.group_id = t.group_id))"
);

/// Whether a user may see all of these tasks. Tasks that don't exist are ignored.
pub(crate) async fn may_see_all(db: Db<'_>, user: UserId, tasks: &[Uuid]) -> Result<bool, StoreError> {
    if tasks.is_empty() {
        return Ok(true);
    }
    db.one(REFERS_TO_INVISIBLE, &[&user.0, &List(tasks)], |row| Ok(!row.get::<bool>(0)?)).await
}

const SEEN: Sql = sql!(
    "
    SELECT t.uuid,
           EXISTS (SELECT 1 FROM membership m WHERE m.user_id = $1 AND m.group_id = t.group_id) AS seen
    FROM task t WHERE t.uuid = ANY($2::uuid[])"
);

/// Returns those of the tasks that exist, and whether a user may see each.
pub(crate) async fn seen(
    db: Db<'_>,
    user: UserId,
    tasks: &[Uuid],
) -> Result<HashMap<Uuid, bool>, StoreError> {
    db.all(SEEN, &[&user.0, &List(tasks)], |row| Ok((row.value("uuid")?, row.value("seen")?))).await
}

const PERMITTED_TASKS: Sql = sql!("
    SELECT t.uuid FROM task t INNER JOIN membership m ON m.group_id = t.group_id INNER JOIN users u ON u.id = m.user_id
    WHERE t.uuid = ANY($1::uuid[]) AND m.user_id = $2 AND m.role >= $3 AND u.state = $4");

/// Returns those of the tasks on which an actor may perform an action, in the given order.
pub(crate) async fn permitted_tasks(
    db: Db<'_>,
    actor: Actor,
    tasks: &[Uuid],
    action: Action,
) -> Result<Vec<Uuid>, StoreError> {
    let Some(user) = actor.code() else { return Ok(tasks.to_vec()) };
    let least = action.least_role().code();
    let allowed: HashSet<Uuid> =
        db.all(PERMITTED_TASKS, &[&List(tasks), &user, &least, &AccountState::Active.code()], only).await?;
    Ok(tasks.iter().filter(|task| allowed.contains(*task)).copied().collect())
}

/// Whether the task exists and an actor may perform an action on it.
pub(crate) async fn may_with(
    db: Db<'_>,
    actor: Actor,
    task: Uuid,
    action: Action,
) -> Result<bool, StoreError> {
    Ok(!permitted_tasks(db, actor, &[task], action).await?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_what_it_is_asked_about() {
        assert_searches(ROLE, &["m", "u"]);
        assert_searches(MAY_ON_WORKER, &["w", "m", "u"]);
        assert_searches(PERMITTED_TASKS, &["t", "m", "u"]);
    }
}
