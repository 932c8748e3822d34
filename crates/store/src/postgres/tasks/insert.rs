//! Adding the rows of new tasks, except the one that says where each stands.

use mitosis_domain::ids::{GroupId, LaneId, UserId};
use mitosis_domain::permission::Action;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{TaskSpec, Timestamp};
use uuid::Uuid;

use super::super::row::{self, Db, to_json};
use super::intern;
use crate::StoreError;
use crate::code::{Code, silence_limit};
use crate::needs;
use crate::ops::tasks::NewTask;

/// Tasks in one statement: enough that the round trip costs nothing, few enough to keep memory flat.
const AT_ONCE: usize = 5_000;

/// What only the database knows of a new task.
pub(in super::super) struct Placed<'a> {
    pub(in super::super) task: &'a NewTask,
    pub(in super::super) id: i64,
    pub(in super::super) number: i64,
    pub(in super::super) lane: LaneId,
}

/// Waits for a deletion of the group that is under way, and looks at what became of it.
const TAKE_NUMBERS: &str = "
    UPDATE groups SET task_count = task_count + $2
    WHERE id = $1 AND state <> $5
      AND EXISTS (
          SELECT 1 FROM membership m JOIN users u ON u.id = m.user_id
          WHERE m.group_id = $1 AND m.user_id = $3 AND m.role >= $4 AND u.state = $6)
    RETURNING task_count";

/// Hands out numbers of a group; answers the first, or none when the creator may not submit to it:
/// a member with Write whose account is active.
pub(in super::super) async fn take_numbers(
    tx: &impl Db,
    creator: UserId,
    group: GroupId,
    count: i64,
) -> Result<Option<i64>, StoreError> {
    let least = Action::Submit.least_role().code();
    let (deleted, active) = (AccountState::Deleted.code(), AccountState::Active.code());
    let params: row::Params<'_> = &[&group.0, &count, &creator.0, &least, &deleted, &active];
    row::optional(tx, TAKE_NUMBERS, params, |row| Ok(row.try_get::<_, i64>(0)? - count + 1)).await
}

/// Not necessarily without gaps: others draw at the same time.
const TAKE_IDS: &str = "SELECT nextval('task_id') AS id FROM generate_series(1, $1) ORDER BY id";

/// Draws ids for tasks, in rising order.
pub(super) async fn take_ids(tx: &impl Db, count: usize) -> Result<Vec<i64>, StoreError> {
    row::all(tx, TAKE_IDS, &[&i32::try_from(count).unwrap_or(i32::MAX)], row::only).await
}

const INSERT_TASKS: &str = "
    INSERT INTO task (id, uuid, group_id, number, creator_id, lane_id, priority, labels, spec,
                      timeout_seconds, created_at, updated_at, upstream_uuid, lost_after)
    SELECT id, uuid, group_id, number, $10, lane_id, priority, labels::jsonb, spec::json,
           timeout_seconds, $11, $11, $12, lost_after
    FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[],
                $7::text[], $8::text[], $9::bigint[], $13::bigint[])
        AS new (id, uuid, group_id, number, lane_id, priority, labels, spec, timeout_seconds, lost_after)";

const INSERT_TASK_LABELS: &str = "
    INSERT INTO task_label (label_id, task_id) SELECT * FROM unnest($1::bigint[], $2::bigint[])";

/// Adds tasks and their labels. `numbers` gives each its number within its group.
pub(in super::super) async fn insert<'a>(
    tx: &impl Db,
    creator: UserId,
    upstream: Option<Uuid>,
    tasks: &'a [NewTask],
    mut number: impl FnMut(GroupId) -> i64 + Send,
    now: Timestamp,
) -> Result<Vec<Placed<'a>>, StoreError> {
    let lanes = intern::lanes(tx, tasks.iter().map(|task| (task.group, &task.tags)).collect()).await?;
    let ids = take_ids(tx, tasks.len()).await?;
    let placed: Vec<_> = tasks
        .iter()
        .zip(ids)
        .map(|(task, id)| Placed {
            task,
            id,
            number: number(task.group),
            lane: lanes[&(task.group, task.tags.clone())],
        })
        .collect();
    for some in placed.chunks(AT_ONCE) {
        insert_some(tx, creator, upstream, some, now).await?;
    }
    Ok(placed)
}

async fn insert_some(
    tx: &impl Db,
    creator: UserId,
    upstream: Option<Uuid>,
    placed: &[Placed<'_>],
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids: Vec<i64> = placed.iter().map(|new| new.id).collect();
    let uuids: Vec<Uuid> = placed.iter().map(|new| new.task.uuid).collect();
    let groups: Vec<i64> = placed.iter().map(|new| new.task.group.0).collect();
    let numbers: Vec<i64> = placed.iter().map(|new| new.number).collect();
    let lanes: Vec<i64> = placed.iter().map(|new| new.lane.0).collect();
    let priorities: Vec<i32> = placed.iter().map(|new| new.task.priority).collect();
    let labels: Vec<String> = placed.iter().map(|new| to_json(&new.task.labels)).collect::<Result<_, _>>()?;
    let specs: Vec<String> = placed.iter().map(|new| to_json(&new.task.spec)).collect::<Result<_, _>>()?;
    let timeouts: Vec<i64> = placed.iter().map(|new| new.task.timeout_seconds).collect();
    let limits: Vec<Option<i64>> = placed.iter().map(|new| silence_limit(&new.task.spec)).collect();
    let params: row::Params<'_> = &[
        &ids,
        &uuids,
        &groups,
        &numbers,
        &lanes,
        &priorities,
        &labels,
        &specs,
        &timeouts,
        &creator.0,
        &now.unix_micros(),
        &upstream,
        &limits,
    ];
    row::run(tx, INSERT_TASKS, params).await?;
    let needs = placed.iter().flat_map(|new| needs_of(new.id, &new.task.spec));
    insert_needs(tx, needs.unzip()).await?;
    insert_labels(tx, placed).await
}

const INSERT_NEEDS: &str = "
    INSERT INTO task_need (needed_uuid, task_id) SELECT * FROM unnest($1::uuid[], $2::bigint[])";

fn needs_of(task: i64, spec: &TaskSpec) -> impl Iterator<Item = (Uuid, i64)> {
    needs::named_by(spec).into_iter().map(move |needed| (needed, task))
}

async fn insert_needs(tx: &impl Db, (needed, tasks): (Vec<Uuid>, Vec<i64>)) -> Result<(), StoreError> {
    if !needed.is_empty() {
        row::run(tx, INSERT_NEEDS, &[&needed, &tasks]).await?;
    }
    Ok(())
}

const DELETE_NEEDS: &str = "DELETE FROM task_need WHERE task_id = $1";

/// A task that is waiting got another spec.
pub(super) async fn replace_needs(tx: &impl Db, task: i64, spec: &TaskSpec) -> Result<(), StoreError> {
    row::run(tx, DELETE_NEEDS, &[&task]).await?;
    insert_needs(tx, needs_of(task, spec).unzip()).await
}

async fn insert_labels(tx: &impl Db, placed: &[Placed<'_>]) -> Result<(), StoreError> {
    let each: Vec<(&Placed<'_>, &str)> =
        placed.iter().flat_map(|new| new.task.labels.iter().map(move |label| (new, label))).collect();
    let wanted = each.iter().map(|(new, label)| (new.task.group, *label)).collect();
    let known = intern::labels(tx, wanted).await?;
    let (labels, tasks): (Vec<i64>, Vec<i64>) =
        each.iter().map(|(new, label)| (known[&(new.task.group, (*label).to_owned())], new.id)).unzip();
    if !labels.is_empty() {
        row::run(tx, INSERT_TASK_LABELS, &[&labels, &tasks]).await?;
    }
    Ok(())
}

const INSERT_READY: &str = "
    INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
    SELECT lane_id, neg_priority, task_id, 0, 0, $4
    FROM unnest($1::bigint[], $2::int[], $3::bigint[]) AS new (lane_id, neg_priority, task_id)";

/// Puts new tasks in line.
pub(super) async fn insert_ready(
    tx: &impl Db,
    placed: &[Placed<'_>],
    now: Timestamp,
) -> Result<(), StoreError> {
    for some in placed.chunks(AT_ONCE) {
        let lanes: Vec<i64> = some.iter().map(|new| new.lane.0).collect();
        let places: Vec<i32> = some.iter().map(|new| crate::code::neg_priority(new.task.priority)).collect();
        let tasks: Vec<i64> = some.iter().map(|new| new.id).collect();
        row::run(tx, INSERT_READY, &[&lanes, &places, &tasks, &now.unix_micros()]).await?;
    }
    Ok(())
}
