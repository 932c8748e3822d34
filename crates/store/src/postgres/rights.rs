//! Who may do something, looked at inside the transaction that does it.

use std::collections::{HashMap, HashSet};

use mitosis_domain::account::Membership;
use mitosis_domain::ids::{GroupId, UserId, WorkerId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Role;
use mitosis_protocol::admin::AccountState;
use uuid::Uuid;

use super::row::{self, Columns, Db};
use crate::StoreError;
use crate::code::Code;
use crate::ops::By;

/// Waits for a change of the membership that is under way, and holds off the next. An account that is not active
/// has none.
const ROLE: &str = "
    SELECT m.role FROM membership m JOIN users u ON u.id = m.user_id
    WHERE m.user_id = $1 AND m.group_id = $2 AND u.state = $3 FOR SHARE OF m";

/// What someone is to a group, until the end of the transaction.
pub(super) async fn membership(tx: &impl Db, by: By, group: GroupId) -> Result<Membership, StoreError> {
    let Some(user) = by.code() else { return Ok(Membership::Member(group, Role::Admin)) };
    let role =
        row::optional(tx, ROLE, &[&user, &group.0, &AccountState::Active.code()], |row| row.code("role"))
            .await?;
    Ok(role.map_or(Membership::Outsider(group), |role| Membership::Member(group, role)))
}

/// Whether someone may do this in a group, until the end of the transaction.
pub(super) async fn may(tx: &impl Db, by: By, group: GroupId, action: Action) -> Result<bool, StoreError> {
    let membership = membership(tx, by, group).await?;
    Ok(matches!(membership, Membership::Member(_, role) if action.allowed_to(role)))
}

const MAY_ON_WORKER: &str = "
    SELECT EXISTS (
        SELECT 1 FROM worker_group w JOIN membership m ON m.group_id = w.group_id JOIN users u ON u.id = m.user_id
        WHERE w.worker_id = $1 AND w.role >= $2 AND m.user_id = $3 AND m.role >= $4 AND u.state = $5)";

/// Whether someone may do this in a group that has at least this role on a locked worker.
pub(super) async fn may_on_worker(
    tx: &impl Db,
    by: By,
    worker: WorkerId,
    action: Action,
    on_worker: Role,
) -> Result<bool, StoreError> {
    let Some(user) = by.code() else { return Ok(true) };
    let least = action.least_role().code();
    let params: row::Params<'_> =
        &[&worker.0, &on_worker.code(), &user, &least, &AccountState::Active.code()];
    row::one(tx, MAY_ON_WORKER, params, row::only).await
}

/// Whether someone controls a locked worker: Admin in a group that is Admin on it.
pub(super) async fn controls(tx: &impl Db, by: By, worker: WorkerId) -> Result<bool, StoreError> {
    may_on_worker(tx, by, worker, Action::ControlWorkers, Role::Admin).await
}

const NAMES_FOREIGN: &str = "
    SELECT EXISTS (
        SELECT 1 FROM task t
        WHERE t.uuid = ANY($2)
          AND NOT EXISTS (SELECT 1 FROM membership m WHERE m.user_id = $1 AND m.group_id = t.group_id))";

/// Whether a user may see all of these tasks, as far as they exist.
pub(super) async fn sees_all(tx: &impl Db, user: UserId, tasks: &[Uuid]) -> Result<bool, StoreError> {
    if tasks.is_empty() {
        return Ok(true);
    }
    row::one(tx, NAMES_FOREIGN, &[&user.0, &tasks], |row| Ok(!row.try_get::<_, bool>(0)?)).await
}

const SEEN: &str = "
    SELECT t.uuid,
           EXISTS (SELECT 1 FROM membership m WHERE m.user_id = $1 AND m.group_id = t.group_id) AS seen
    FROM task t WHERE t.uuid = ANY($2)";

/// Which of these tasks exist, and whether a user may see each.
pub(super) async fn seen(
    db: &impl Db,
    user: UserId,
    tasks: &[Uuid],
) -> Result<HashMap<Uuid, bool>, StoreError> {
    row::all(db, SEEN, &[&user.0, &tasks], |row| Ok((row.value("uuid")?, row.value("seen")?))).await
}

const AMONG: &str = "
    SELECT t.uuid FROM task t JOIN membership m ON m.group_id = t.group_id JOIN users u ON u.id = m.user_id
    WHERE t.uuid = ANY($1) AND m.user_id = $2 AND m.role >= $3 AND u.state = $4";

/// Those of the tasks that exist and with which someone may do this, in the order given.
pub(super) async fn among(
    tx: &impl Db,
    by: By,
    tasks: &[Uuid],
    action: Action,
) -> Result<Vec<Uuid>, StoreError> {
    let Some(user) = by.code() else { return Ok(tasks.to_vec()) };
    let least = action.least_role().code();
    let allowed: HashSet<Uuid> =
        row::all(tx, AMONG, &[&tasks, &user, &least, &AccountState::Active.code()], row::only).await?;
    Ok(tasks.iter().filter(|task| allowed.contains(*task)).copied().collect())
}

/// Whether there is such a task, and someone may do this with it.
pub(super) async fn may_with(tx: &impl Db, by: By, task: Uuid, action: Action) -> Result<bool, StoreError> {
    Ok(!among(tx, by, &[task], action).await?.is_empty())
}
