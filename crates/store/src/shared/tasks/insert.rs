//! Adding the rows of new tasks. Each database has a way of its own to add many.

use std::collections::BTreeSet;
use std::sync::Arc;

use mitosis_domain::ids::{GroupId, LaneId, TaskId, UserId};
use mitosis_domain::permission::Action;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{TaskSpec, Timestamp};
use uuid::Uuid;

use crate::db::{Db, List, Params, Sql, sql, to_json};
use crate::enum_codes::{Code, silence_limit};
use crate::ops::tasks::NewTask;
use crate::{StoreError, postgres, references, sqlite};

/// Tasks that are converted in one go; the thread that converts them serves others in between.
const CONVERT_AT_ONCE: usize = 256;

/// A new task in the form of its row. Tasks of one submission have much in common, which they share.
#[derive(Debug, Clone)]
pub(crate) struct NewRow {
    pub(crate) uuid: Uuid,
    pub(crate) group: GroupId,
    pub(crate) tags: Arc<str>,
    pub(crate) labels: Arc<[String]>,
    pub(crate) labels_json: Arc<str>,
    pub(crate) timeout_seconds: i64,
    pub(crate) priority: i32,
    pub(crate) spec: Arc<str>,
    pub(crate) silence_limit: Option<i64>,
    pub(crate) needs: BTreeSet<Uuid>,
}

impl NewRow {
    /// Converts a task.
    pub(crate) fn new(task: &NewTask) -> Result<Self, StoreError> {
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
            needs: references::named_by(&task.spec),
        })
    }

    /// Converts many tasks before the database is asked, so that a writer does nothing but write.
    pub(crate) async fn of_all(tasks: &[NewTask]) -> Result<Vec<Self>, StoreError> {
        let mut rows: Vec<Self> = Vec::with_capacity(tasks.len());
        for (at, task) in tasks.iter().enumerate() {
            let last = at.checked_sub(1).map(|last| (&tasks[last], &rows[last]));
            rows.push(Self::after(last, task)?);
            if at % CONVERT_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(rows)
    }
}

/// Whose tasks they are, and which task asked for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) creator: UserId,
    pub(crate) upstream: Option<Uuid>,
}

/// What only the database knows of a new task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) task: TaskId,
    pub(crate) lane: LaneId,
}

/// Waits for a deletion of the group that is under way, and looks at what became of it.
const TAKE_NUMBERS: Sql = sql!(
    "
    UPDATE groups SET task_count = task_count + $2
    WHERE id = $1 AND state <> $5
      AND EXISTS (
          SELECT 1 FROM membership m INNER JOIN users u ON u.id = m.user_id
          WHERE m.group_id = $1 AND m.user_id = $3 AND m.role >= $4 AND u.state = $6)
    RETURNING task_count"
);

/// Hands out numbers of a group; answers the first, or none when the creator may not submit to it:
/// a member with Write whose account is active.
pub(crate) async fn take_numbers(
    db: Db<'_>,
    creator: UserId,
    group: GroupId,
    count: i64,
) -> Result<Option<i64>, StoreError> {
    let least = Action::Submit.least_role().code();
    let (deleted, active) = (AccountState::Deleted.code(), AccountState::Active.code());
    let params: Params<'_> = &[&group.0, &count, &creator.0, &least, &deleted, &active];
    db.optional(TAKE_NUMBERS, params, |row| Ok(row.get::<i64>(0)? - count + 1)).await
}

/// Adds tasks with their labels and needs, but not the row that holds their state. `numbers` has for each its number
/// within its group.
pub(crate) async fn insert(
    db: Db<'_>,
    origin: Origin,
    rows: &[NewRow],
    numbers: &[i64],
    now: Timestamp,
) -> Result<Vec<Placed>, StoreError> {
    match db {
        Db::Postgres(db) => postgres::tasks::insert::insert(db, origin, rows, numbers, now).await,
        Db::Sqlite(db) => sqlite::tasks::insert::insert(db, origin, rows, numbers, now),
    }
}

/// Adds tasks that are Ready.
pub(super) async fn insert_ready(
    db: Db<'_>,
    creator: UserId,
    rows: &[NewRow],
    numbers: &[i64],
    now: Timestamp,
) -> Result<(), StoreError> {
    let placed = insert(db, Origin { creator, upstream: None }, rows, numbers, now).await?;
    match db {
        Db::Postgres(db) => postgres::tasks::insert::insert_ready(db, rows, &placed, now).await,
        Db::Sqlite(db) => sqlite::tasks::insert::insert_ready(db, rows, &placed, now),
    }
}

const DELETE_NEEDS: Sql = sql!("DELETE FROM task_need WHERE task_id = $1");

const INSERT_NEEDS: Sql = sql!(
    postgres: "INSERT INTO task_need (needed_uuid, task_id) SELECT needed, $2 FROM unnest($1::uuid[]) AS needed",
    sqlite: "INSERT INTO task_need (needed_uuid, task_id) SELECT unhex(value, '-'), ?2 FROM json_each(?1)",
);

/// A task that waits got another spec.
pub(super) async fn replace_needs(db: Db<'_>, task: i64, spec: &TaskSpec) -> Result<(), StoreError> {
    db.run(DELETE_NEEDS, &[&task]).await?;
    let needs: Vec<Uuid> = references::named_by(spec).into_iter().collect();
    if !needs.is_empty() {
        db.run(INSERT_NEEDS, &[&List(&needs), &task]).await?;
    }
    Ok(())
}
