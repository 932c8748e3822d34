//! The table of results.

use std::collections::BTreeMap;

use mitosis_domain::ids::{JobId, TaskId};
use mitosis_protocol::{TaskState, Timestamp};

use super::query;
use crate::StoreError;
use crate::db::{Db, List, Row, Sql, sql};
use crate::enum_codes::Code;
use crate::ops::query::{BatchSizes, Page};
use crate::ops::sweeps::{OutcomePage, Selection, TaskOutcome, approximate_size};

/// The columns of the table, without the names of group and creator, tags, labels, and most of the spec.
macro_rules! outcomes_by_ids {
    ($params:literal, $data:literal, $ids:literal) => {
        concat!(
            "SELECT t.id, t.uuid, t.number, ",
            $params,
            " AS params, t.created_at, t.repeats_uuid, t.job_id,
                (SELECT t.id - j.first_id + 1 FROM job j WHERE j.id = t.job_id) AS job_index,
                coalesce(p.task_id, r.task_id) AS is_pending, l.task_id AS is_held, l.reported_end, d.state AS ended_as,
                d.exit_status, d.message, coalesce(d.claimed_at, l.claimed_at) AS started_at, d.finished_at, ",
            $data,
            " AS data, d.warnings, d.wall_micros, d.cpu_micros, d.peak_memory, d.output_bytes
            FROM task t
            LEFT JOIN pending p ON p.task_id = t.id
            LEFT JOIN ready r ON r.task_id = t.id AND r.blocked <> 0
            LEFT JOIN lease l ON l.task_id = t.id
            LEFT JOIN done d ON d.task_id = t.id
            WHERE t.id ",
            $ids,
            " ORDER BY t.id DESC"
        )
    };
}

const OUTCOMES_BY_IDS: Sql = sql!(
    postgres: outcomes_by_ids!("t.spec -> 'params'", "d.data::text", "= ANY($1)"),
    sqlite: outcomes_by_ids!("t.spec -> '$.params'", "d.data", "IN (SELECT value FROM json_each(?1))"),
);

/// One page of results.
pub(super) async fn outcomes(
    db: Db<'_>,
    selection: &Selection,
    page: Page,
    bytes: usize,
) -> Result<OutcomePage, StoreError> {
    let ids = query::selected(db, selection, page).await?;
    let (mut found, mut batches, mut rest) = (OutcomePage::empty(), BatchSizes::up_to(bytes), ids.as_slice());
    while !rest.is_empty() {
        let (now, later) = rest.split_at(batches.next().min(rest.len()));
        for outcome in db.all::<Vec<_>, _>(OUTCOMES_BY_IDS, &[&List(now)], read).await? {
            if !batches.fits(approximate_size(&outcome)) {
                found.is_complete = false;
                return Ok(found);
            }
            found.outcomes.push(outcome);
        }
        rest = later;
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<TaskOutcome, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.value::<Option<_>>(column)?.map(Timestamp::from_unix_micros));
    let ended_as: Option<TaskState> = row.optional_code("ended_as")?;
    let result = match ended_as {
        Some(_) => Some(row.result()?),
        None => None,
    };
    let params: Option<BTreeMap<String, String>> = row.optional_json("params")?;
    Ok(TaskOutcome {
        id: TaskId(row.value("id")?),
        uuid: row.value("uuid")?,
        number: row.value("number")?,
        place: read_place(row)?,
        params: params.unwrap_or_default(),
        state: match ended_as {
            Some(state) => state,
            None => read_live(row)?,
        },
        result,
        created_at: row.time("created_at")?,
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
        repeats: row.value("repeats_uuid")?,
        data: row.value("data")?,
        warnings: row.warnings("warnings")?,
        usage: row.usage()?,
    })
}

fn read_place(row: &Row<'_>) -> Result<Option<(JobId, u64)>, StoreError> {
    let (job, index): (Option<i64>, Option<i64>) = (row.value("job_id")?, row.value("job_index")?);
    Ok(job.zip(index).map(|(job, index)| (JobId(job), index.unsigned_abs())))
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
