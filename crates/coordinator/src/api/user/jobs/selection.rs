//! Selections of tasks of a job.

use mitosis_domain::selector::IndexRanges;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::job::{TaskCondition, TaskSelection};
use mitosis_store::ops::jobs::{Job, JobTasks};

use crate::error::Rejection;

/// Checks a selection of tasks of a job. A selection of indices that the job does not have must not mean all tasks.
pub(super) fn checked(job: &Job, selection: TaskSelection) -> Result<JobTasks, Rejection> {
    let TaskSelection { indices, mut states } = selection;
    states.sort_unstable();
    states.dedup();
    if indices.is_empty() {
        return Ok(JobTasks { indices, states });
    }
    let ranges = IndexRanges::new(indices.iter().map(|(first, last)| *first..=*last));
    let ranges = ranges.map_err(|error| {
        Rejection::invalid(error).hint("a range has its first and its last index, both included, from 1")
    })?;
    let bounded = ranges.bounded(job.size).ok_or_else(|| beyond(job, &ranges))?;
    Ok(JobTasks { indices: bounded.ranges().map(|range| (*range.start(), *range.end())).collect(), states })
}

fn beyond(job: &Job, ranges: &IndexRanges) -> Rejection {
    let (id, size) = (job.id.0, job.size);
    Rejection::new(ErrorCode::NotFound, format!("job {id} has {size} tasks; there is no task {id}/{ranges}"))
        .hint("indices count up from 1 in the order of the parameters")
}

/// Whether the selection includes tasks in this state.
pub(super) fn includes(tasks: &JobTasks, state: TaskCondition) -> bool {
    tasks.states.is_empty() || tasks.states.contains(&state)
}
