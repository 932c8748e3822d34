//! Adding the rows of a new task, except the one that says where it stands.

use std::collections::BTreeSet;
use std::sync::Arc;

use mitosis_domain::ids::{GroupId, LaneId, TaskId, UserId};
use mitosis_domain::permission::Action;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{TaskSpec, Timestamp};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::row::{Run, to_json};
use super::intern::Interned;
use crate::StoreError;
use crate::code::{Code, silence_limit};
use crate::needs;
use crate::ops::tasks::NewTask;

/// Tasks that are converted in one go; the thread that converts them serves others in between.
const CONVERT_AT_ONCE: usize = 256;

/// A new task in the form of its row. Tasks of one submission have much in common, which they share.
#[derive(Debug)]
pub(in super::super) struct NewRow {
    pub(in super::super) uuid: Uuid,
    pub(in super::super) group: GroupId,
    pub(super) tags: Arc<str>,
    pub(super) labels: Arc<[String]>,
    labels_json: Arc<str>,
    timeout_seconds: i64,
    pub(super) priority: i32,
    spec: Arc<str>,
    silence_limit: Option<i64>,
    pub(in super::super) needs: BTreeSet<Uuid>,
}

impl NewRow {
    /// Converts a task.
    pub(in super::super) fn new(task: &NewTask) -> Result<Self, StoreError> {
        Self::after(None, task)
    }

    /// Converts a task that comes after another one.
    fn after(last: Option<(&NewTask, &Self)>, task: &NewTask) -> Result<Self, StoreError> {
        let same = |part: fn(&NewTask, &NewTask) -> bool| last.filter(|(other, _)| part(other, task));
        let tags = match same(|one, other| one.tags == other.tags) {
            Some((_, row)) => row.tags.clone(),
            None => to_json(&task.tags)?.into(),
        };
        let (labels, labels_json) = match same(|one, other| one.labels == other.labels) {
            Some((_, row)) => (row.labels.clone(), row.labels_json.clone()),
            None => (task.labels.to_vec().into(), to_json(&task.labels)?.into()),
        };
        let spec = match same(|one, other| one.spec == other.spec) {
            Some((_, row)) => row.spec.clone(),
            None => to_json(&task.spec)?.into(),
        };
        Ok(Self {
            uuid: task.uuid,
            group: task.group,
            tags,
            labels,
            labels_json,
            timeout_seconds: task.timeout_seconds,
            priority: task.priority,
            spec,
            silence_limit: silence_limit(&task.spec),
            needs: needs::named_by(&task.spec),
        })
    }
}

/// Converts many tasks before the writer is asked, so that it does nothing but write.
pub(super) async fn to_rows(tasks: &[NewTask]) -> Result<Vec<NewRow>, StoreError> {
    let mut rows: Vec<NewRow> = Vec::with_capacity(tasks.len());
    for (at, task) in tasks.iter().enumerate() {
        let last = at.checked_sub(1).map(|last| (&tasks[last], &rows[last]));
        rows.push(NewRow::after(last, task)?);
        if at % CONVERT_AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(rows)
}

/// What only the database knows of a new task.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Origin {
    pub(in super::super) creator: UserId,
    pub(in super::super) number: i64,
    pub(in super::super) upstream: Option<Uuid>,
}

const TAKE_NUMBERS: &str = "
    UPDATE groups SET task_count = task_count + ?2
    WHERE id = ?1 AND state <> ?5
      AND EXISTS (
          SELECT 1 FROM membership m CROSS JOIN users u ON u.id = m.user_id
          WHERE m.group_id = ?1 AND m.user_id = ?3 AND m.role >= ?4 AND u.state = ?6)
    RETURNING task_count";

/// Hands out numbers of a group; answers the first, or none when the creator may not submit to it:
/// a member with Write whose account is active.
pub(in super::super) fn take_numbers(
    db: &Connection,
    creator: UserId,
    group: GroupId,
    count: i64,
) -> Result<Option<i64>, StoreError> {
    let least = Action::Submit.least_role().code();
    let (deleted, active) = (AccountState::Deleted.code(), AccountState::Active.code());
    db.optional(TAKE_NUMBERS, params![group.0, count, creator.0, least, deleted, active], |row| {
        Ok(row.get::<_, i64>(0)? - count + 1)
    })
}

const INSERT_TASK: &str = "
    INSERT INTO task (uuid, group_id, number, creator_id, lane_id, priority, labels, spec,
                      timeout_seconds, created_at, updated_at, upstream_uuid, lost_after)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12)";

pub(super) const INSERT_TASK_LABEL: &str = "INSERT INTO task_label (label_id, task_id) VALUES (?1, ?2)";

/// Adds a task and its labels; answers its id and lane.
pub(in super::super) fn insert(
    db: &Connection,
    interned: &mut Interned,
    row: &NewRow,
    origin: Origin,
    now: Timestamp,
) -> Result<(TaskId, LaneId), StoreError> {
    let lane = interned.lane(db, row.group, &row.tags)?;
    let id = db.insert(
        INSERT_TASK,
        params![
            row.uuid.as_bytes(),
            row.group.0,
            origin.number,
            origin.creator.0,
            lane.0,
            row.priority,
            &*row.labels_json,
            &*row.spec,
            row.timeout_seconds,
            now.unix_micros(),
            origin.upstream.as_ref().map(Uuid::as_bytes),
            row.silence_limit,
        ],
    )?;
    insert_needs(db, id, &row.needs)?;
    for label in row.labels.iter() {
        let label = interned.label(db, row.group, label)?;
        db.run_one(INSERT_TASK_LABEL, [label, id])?;
    }
    Ok((TaskId(id), lane))
}

const INSERT_NEED: &str = "INSERT INTO task_need (needed_uuid, task_id) VALUES (?1, ?2)";

pub(super) fn insert_needs(db: &Connection, task: i64, needs: &BTreeSet<Uuid>) -> Result<(), StoreError> {
    for needed in needs {
        db.run_one(INSERT_NEED, params![needed.as_bytes(), task])?;
    }
    Ok(())
}

const DELETE_NEEDS: &str = "DELETE FROM task_need WHERE task_id = ?1";

/// A task that is waiting got another spec.
pub(super) fn replace_needs(db: &Connection, task: TaskId, spec: &TaskSpec) -> Result<(), StoreError> {
    db.run(DELETE_NEEDS, [task.0])?;
    insert_needs(db, task.0, &needs::named_by(spec))
}

const INSERT_READY: &str = "
    INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
    VALUES (?1, ?2, ?3, 0, 0, ?4)";

/// Puts a new task in line.
pub(super) fn insert_ready(
    db: &Connection,
    lane: LaneId,
    priority: i32,
    task: TaskId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let place = crate::code::neg_priority(priority);
    db.run_one(INSERT_READY, params![lane.0, place, task.0, now.unix_micros()])
}
