//! The table of results.

use mitosis_domain::ids::TaskId;
use mitosis_protocol::{TaskResult, TaskState, Timestamp};
use rusqlite::{Connection, Row};

use super::super::row::{Columns, Run};
use super::query;
use crate::StoreError;
use crate::code::Code;
use crate::ops::query::{Page, Portions};
use crate::ops::sweeps::{OutcomePage, Selection, TaskOutcome, weight};

/// Without the names of group and creator, tags, labels, and most of the spec.
const OUTCOME_BY_ID: &str = "
    SELECT t.id, t.uuid, t.number, coalesce(t.spec -> '$.params', '{}') AS params, t.created_at,
        t.repeats_uuid, p.task_id AS is_pending, l.task_id AS is_held, l.reported_end,
        d.state AS ended_as, d.exit_status, d.message,
        coalesce(d.claimed_at, l.claimed_at) AS started_at, d.finished_at, d.data, d.warnings
    FROM task t
    LEFT JOIN pending p ON p.task_id = t.id
    LEFT JOIN lease l ON l.task_id = t.id
    LEFT JOIN done d ON d.task_id = t.id
    WHERE t.id = ?1";

/// One page of results.
pub(super) fn outcomes(
    db: &Connection,
    selection: &Selection,
    page: Page,
    bytes: usize,
) -> Result<OutcomePage, StoreError> {
    let (mut found, mut portions) = (OutcomePage::empty(), Portions::up_to(bytes));
    for id in query::selected(db, selection, page)? {
        let outcome = db.one(OUTCOME_BY_ID, [id.0], read)?;
        if !portions.fits(weight(&outcome)) {
            found.is_whole = false;
            break;
        }
        found.outcomes.push(outcome);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<TaskOutcome, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.value::<Option<_>>(column)?.map(Timestamp::from_unix_micros));
    let ended_as: Option<TaskState> = row.optional_code("ended_as")?;
    let result = match ended_as {
        Some(_) => {
            Some(TaskResult { exit_status: row.value("exit_status")?, msg: row.optional_code("message")? })
        }
        None => None,
    };
    Ok(TaskOutcome {
        id: TaskId(row.value("id")?),
        uuid: row.uuid("uuid")?,
        number: row.value("number")?,
        params: row.json("params")?,
        state: match ended_as {
            Some(state) => state,
            None => read_live(row)?,
        },
        result,
        created_at: row.time("created_at")?,
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
        repeats: row.optional_uuid("repeats_uuid")?,
        data: row.value("data")?,
        warnings: row.warnings("warnings")?,
    })
}

fn read_live(row: &Row<'_>) -> Result<TaskState, StoreError> {
    if row.value::<Option<i64>>("is_held")?.is_some() {
        let reported: Option<i16> = row.value("reported_end")?;
        return Ok(reported.map_or(Ok(TaskState::Running), TaskState::from_code)?);
    }
    Ok(match row.value::<Option<i64>>("is_pending")? {
        Some(_) => TaskState::Pending,
        None => TaskState::Ready,
    })
}
