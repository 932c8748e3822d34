//! Who may do something, looked at inside the transaction that does it.

use std::collections::HashMap;

use mitosis_domain::account::Membership;
use mitosis_domain::ids::{GroupId, UserId, WorkerId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Role;
use mitosis_protocol::admin::AccountState;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::row::{Columns, Run};
use crate::StoreError;
use crate::code::Code;
use crate::ops::By;

/// An account that is not active has none.
const ROLE: &str = "
    SELECT m.role FROM membership m CROSS JOIN users u ON u.id = m.user_id
    WHERE m.user_id = ?1 AND m.group_id = ?2 AND u.state = ?3";

/// What someone is to a group.
pub(super) fn membership(db: &Connection, by: By, group: GroupId) -> Result<Membership, StoreError> {
    let Some(user) = by.code() else { return Ok(Membership::Member(group, Role::Admin)) };
    let role =
        db.optional(ROLE, params![user, group.0, AccountState::Active.code()], |row| row.code("role"))?;
    Ok(role.map_or(Membership::Outsider(group), |role| Membership::Member(group, role)))
}

/// Whether someone may do this in a group.
pub(super) fn may(db: &Connection, by: By, group: GroupId, action: Action) -> Result<bool, StoreError> {
    let membership = membership(db, by, group)?;
    Ok(matches!(membership, Membership::Member(_, role) if action.allowed_to(role)))
}

const MAY_ON_WORKER: &str = "
    SELECT EXISTS (
        SELECT 1 FROM worker_group w CROSS JOIN membership m ON m.group_id = w.group_id AND m.user_id = ?3
        CROSS JOIN users u ON u.id = m.user_id
        WHERE w.worker_id = ?1 AND w.role >= ?2 AND m.role >= ?4 AND u.state = ?5)";

/// Whether someone may do this in a group that has at least this role on a worker.
pub(super) fn may_on_worker(
    db: &Connection,
    by: By,
    worker: WorkerId,
    action: Action,
    on_worker: Role,
) -> Result<bool, StoreError> {
    let Some(user) = by.code() else { return Ok(true) };
    let least = action.least_role().code();
    let params = params![worker.0, on_worker.code(), user, least, AccountState::Active.code()];
    db.one(MAY_ON_WORKER, params, |row| Ok(row.get(0)?))
}

/// Whether someone controls a worker: Admin in a group that is Admin on it.
pub(super) fn controls(db: &Connection, by: By, worker: WorkerId) -> Result<bool, StoreError> {
    may_on_worker(db, by, worker, Action::ControlWorkers, Role::Admin)
}

const SEEN: &str = "
    SELECT EXISTS (SELECT 1 FROM membership m WHERE m.user_id = ?1 AND m.group_id = t.group_id)
    FROM task t WHERE t.uuid = ?2";

/// Whether a user may see a task; nothing when there is none.
fn sees(db: &Connection, user: UserId, task: Uuid) -> Result<Option<bool>, StoreError> {
    db.optional(SEEN, params![user.0, task.as_bytes()], |row| Ok(row.get(0)?))
}

/// Whether a user may see all of these tasks, as far as they exist.
pub(super) fn sees_all<'a>(
    db: &Connection,
    user: UserId,
    tasks: impl IntoIterator<Item = &'a Uuid>,
) -> Result<bool, StoreError> {
    for task in tasks {
        if sees(db, user, *task)? == Some(false) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Which of these tasks exist, and whether a user may see each.
pub(super) fn seen(db: &Connection, user: UserId, tasks: &[Uuid]) -> Result<HashMap<Uuid, bool>, StoreError> {
    let mut seen = HashMap::new();
    for task in tasks {
        seen.extend(sees(db, user, *task)?.map(|sees| (*task, sees)));
    }
    Ok(seen)
}

const MAY_WITH: &str = "
    SELECT EXISTS (
        SELECT 1 FROM task t CROSS JOIN membership m ON m.group_id = t.group_id AND m.user_id = ?2
        CROSS JOIN users u ON u.id = m.user_id
        WHERE t.uuid = ?1 AND m.role >= ?3 AND u.state = ?4)";

/// Whether someone may do this with a task.
pub(super) fn may_with(db: &Connection, by: By, task: Uuid, action: Action) -> Result<bool, StoreError> {
    let Some(user) = by.code() else { return Ok(true) };
    let least = action.least_role().code();
    let params = params![task.as_bytes(), user, least, AccountState::Active.code()];
    db.one(MAY_WITH, params, |row| Ok(row.get(0)?))
}
