//! Insertion of new tasks. Each database has its own way to insert many rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mitosis_domain::ids::{GroupId, JobId, LaneId, LimitSetId, TaskId, UserId};
use mitosis_domain::permission::Action;
use mitosis_domain::timeout::Timeout;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{ResourceRequest, Role, TaskSpec, Timestamp};
use uuid::Uuid;

use crate::db::{Db, List, Params, Sql, sql, to_json};
use crate::enum_codes::{Code, silence_limit};
use crate::ops::jobs::Refusal;
use crate::ops::tasks::NewTask;
use crate::{StoreError, postgres, references, sqlite};

/// The number of tasks that are converted without a pause; the thread serves other requests in between.
const CONVERSION_BATCH: usize = 256;

/// A new task in the form of its row. Tasks of one submission share equal parts.
#[derive(Debug, Clone)]
pub(crate) struct NewRow {
    pub(crate) uuid: Uuid,
    pub(crate) group: GroupId,
    pub(crate) tags: Arc<str>,
    pub(crate) labels: Arc<[String]>,
    pub(crate) labels_json: Arc<str>,
    pub(crate) timeout: Timeout,
    pub(crate) priority: i32,
    pub(crate) spec: Arc<str>,
    pub(crate) silence_limit: Option<i64>,
    pub(crate) references: BTreeSet<Uuid>,
    /// What it requests of a worker, as JSON; empty for the default.
    pub(crate) request: Arc<str>,
}

impl NewRow {
    /// Converts a task.
    pub(crate) fn new(task: &NewTask) -> Result<Self, StoreError> {
        Self::after(None, task)
    }

    /// Converts a task, and shares equal parts with the previous one.
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
        let request = match same(|one, other| one.spec.request == other.spec.request) {
            Some((_, row)) => row.request.clone(),
            None => request_text(&task.spec.request)?.into(),
        };
        Ok(Self {
            uuid: task.uuid,
            group: task.group,
            tags,
            labels,
            labels_json,
            timeout: task.timeout,
            priority: task.priority,
            spec,
            silence_limit: silence_limit(&task.spec),
            references: references::referenced_by(&task.spec),
            request,
        })
    }

    /// What the tasks of its lane have in common.
    pub(crate) fn lane_key(&self, creator: UserId, limits: Option<LimitSetId>) -> LaneKey<'_> {
        LaneKey { group: self.group, tags: &self.tags, creator, limits, request: &self.request }
    }

    /// Converts many tasks before the transaction begins, so that the writer has nothing else to do than write.
    pub(crate) async fn of_all(tasks: &[NewTask]) -> Result<Vec<Self>, StoreError> {
        let mut rows: Vec<Self> = Vec::with_capacity(tasks.len());
        for (at, task) in tasks.iter().enumerate() {
            let last = at.checked_sub(1).map(|last| (&tasks[last], &rows[last]));
            rows.push(Self::after(last, task)?);
            if at % CONVERSION_BATCH == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(rows)
    }
}

/// The origin of tasks: who creates them, and which task requested them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) creator: UserId,
    pub(crate) upstream: Option<Uuid>,
}

/// The number of a new task within its group, and for a task of a job the id that was reserved for it and the limits that it
/// uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) number: i64,
    pub(crate) reserved: Option<(TaskId, JobId)>,
    /// The bits of the jobs of which it needs a task.
    pub(crate) blocked: i64,
    /// Whether it waits for a coordinator that releases it.
    pub(crate) held: bool,
    pub(crate) limits: Option<LimitSetId>,
}

impl Slot {
    /// A task that belongs to no job, and gets the next id.
    pub(crate) const fn single(number: i64) -> Self {
        Self { number, reserved: None, blocked: 0, held: false, limits: None }
    }

    /// The job of the task.
    pub(crate) fn job(&self) -> Option<i64> {
        self.reserved.map(|(_, job)| job.0)
    }
}

/// What the tasks of a lane have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LaneKey<'a> {
    pub(crate) group: GroupId,
    /// In their canonical JSON form.
    pub(crate) tags: &'a str,
    pub(crate) creator: UserId,
    pub(crate) limits: Option<LimitSetId>,
    /// In its canonical JSON form; empty for the default.
    pub(crate) request: &'a str,
}

/// The canonical JSON form of a request; empty for the default.
pub(crate) fn request_text(request: &ResourceRequest) -> Result<String, StoreError> {
    if request.is_default() { Ok(String::new()) } else { to_json(request) }
}

impl LaneKey<'_> {
    /// The set of limits as it is stored in a lane.
    pub(crate) fn stored_limits(&self) -> i64 {
        self.limits.map_or(0, |set| set.0)
    }
}

/// The ids of a new task that the database assigns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) task: TaskId,
    pub(crate) lane: LaneId,
}

/// Waits for a concurrent deletion of the group, and reads its state afterwards.
const DRAW_NUMBERS: Sql = sql!(
    "
    UPDATE groups SET task_count = task_count + $2
    WHERE id = $1 AND state <> $5
      AND EXISTS (
          SELECT 1 FROM membership m INNER JOIN users u ON u.id = m.user_id
          WHERE m.group_id = $1 AND m.user_id = $3 AND m.role >= $4 AND u.state = $6)
    RETURNING task_count,
        CASE WHEN write_priority IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM membership m WHERE m.group_id = $1 AND m.user_id = $3 AND m.role >= $7)
        THEN write_priority END AS most_priority"
);

/// Numbers that were drawn for new tasks of a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawn {
    /// The first number.
    pub(crate) first: i64,
    /// The largest priority that the creator may use; none without a bound.
    most_priority: Option<i32>,
}

impl Drawn {
    /// Takes the next number.
    pub(crate) fn next(&mut self) -> i64 {
        self.first += 1;
        self.first - 1
    }

    /// The priority that the creator may use instead of one.
    pub(crate) fn clamp(&self, priority: i32) -> i32 {
        self.most_priority.map_or(priority, |most| priority.min(most))
    }

    /// The refusal of a priority that the creator may not use.
    pub(crate) fn refuse(&self, priority: i32) -> Option<Refusal> {
        let most = self.clamp(priority);
        (most < priority).then_some(Refusal::PriorityTooHigh { priority, most })
    }
}

/// Draws numbers of a group; returns none if the creator may not submit to it. That requires a
/// member with Write whose account is active.
pub(crate) async fn draw_numbers(
    db: Db<'_>,
    creator: UserId,
    group: GroupId,
    count: i64,
) -> Result<Option<Drawn>, StoreError> {
    let least = Action::Submit.least_role().code();
    let (deleted, active) = (AccountState::Deleted.code(), AccountState::Active.code());
    let params: Params<'_> = &[&group.0, &count, &creator.0, &least, &deleted, &active, &Role::Admin.code()];
    db.optional(DRAW_NUMBERS, params, |row| {
        Ok(Drawn { first: row.get::<i64>(0)? - count + 1, most_priority: row.get(1)? })
    })
    .await
}

/// Draws the numbers of each group at once; returns those of each, or nothing if the creator may not submit
/// to one of them. The order of the groups prevents deadlocks.
pub(crate) async fn draw_all_numbers(
    db: Db<'_>,
    creator: UserId,
    counts: impl IntoIterator<Item = (GroupId, i64)>,
) -> Result<Option<BTreeMap<GroupId, Drawn>>, StoreError> {
    let mut totals: BTreeMap<GroupId, i64> = BTreeMap::new();
    for (group, count) in counts {
        *totals.entry(group).or_default() += count;
    }
    let mut first = BTreeMap::new();
    for (group, count) in totals {
        let Some(number) = draw_numbers(db, creator, group, count).await? else { return Ok(None) };
        first.insert(group, number);
    }
    Ok(Some(first))
}

/// Inserts tasks with their labels and references, but without the row that holds their state.
pub(crate) async fn insert(
    db: Db<'_>,
    origin: Origin,
    rows: &[NewRow],
    slots: &[Slot],
    now: Timestamp,
) -> Result<Vec<Placed>, StoreError> {
    match db {
        Db::Postgres(db) => postgres::tasks::insert::insert(db, origin, rows, slots, now).await,
        Db::Sqlite(db) => sqlite::tasks::insert::insert(db, origin, rows, slots, now),
    }
}

/// Inserts Ready tasks.
pub(crate) async fn insert_ready(
    db: Db<'_>,
    creator: UserId,
    rows: &[NewRow],
    slots: &[Slot],
    now: Timestamp,
) -> Result<(), StoreError> {
    let placed = insert(db, Origin { creator, upstream: None }, rows, slots, now).await?;
    match db {
        Db::Postgres(db) => postgres::tasks::insert::insert_ready(db, rows, slots, &placed, now).await,
        Db::Sqlite(db) => sqlite::tasks::insert::insert_ready(db, rows, slots, &placed, now),
    }
}

const DELETE_REFERENCES: Sql = sql!("DELETE FROM task_need WHERE task_id = $1");

const INSERT_REFERENCES: Sql = sql!(
    postgres: "INSERT INTO task_need (needed_uuid, task_id) SELECT needed, $2 FROM unnest($1::uuid[]) AS needed",
    sqlite: "INSERT INTO task_need (needed_uuid, task_id) SELECT unhex(value, '-'), ?2 FROM json_each(?1)",
);

/// Replaces the references of a waiting task, after a change of its spec.
pub(super) async fn replace_references(db: Db<'_>, task: i64, spec: &TaskSpec) -> Result<(), StoreError> {
    db.run(DELETE_REFERENCES, &[&task]).await?;
    let references: Vec<Uuid> = references::referenced_by(spec).into_iter().collect();
    if !references.is_empty() {
        db.run(INSERT_REFERENCES, &[&List(&references), &task]).await?;
    }
    Ok(())
}
