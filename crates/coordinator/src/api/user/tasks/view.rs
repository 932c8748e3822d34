//! Tasks in the form of the protocol.

use mitosis_domain::task::{Phase, Task};
use mitosis_protocol::events::exit_code;
use mitosis_protocol::{ArtifactInfo, TaskInfo};
use mitosis_store::ops::artifacts::Artifact;
use mitosis_store::ops::sweeps::TaskOutcome;
use serde_json::value::RawValue;

/// Converts a task without its artifacts.
pub(in crate::api) fn info(task: Task) -> TaskInfo {
    let (result, warnings, reporter_uuid) = match &task.phase {
        Phase::Ended(ending) => (Some(ending.result), ending.warnings.clone(), ending.reporter),
        Phase::Pending | Phase::Ready | Phase::Running(_) | Phase::Reported(..) => (None, Vec::new(), None),
    };
    TaskInfo {
        uuid: task.uuid,
        creator_username: task.creator,
        group_name: task.group_name,
        task_id: task.number,
        tags: task.tags.to_vec(),
        labels: task.labels.to_vec(),
        created_at: task.created_at,
        updated_at: task.updated_at,
        state: task.phase.state(),
        timeout: task.timeout.as_secs(),
        priority: task.priority,
        spec: task.spec,
        result,
        upstream_task_uuid: task.upstream,
        downstream_task_uuid: task.downstream,
        reporter_uuid,
        repeats_task_uuid: task.repeats,
        warnings,
    }
}

/// Converts a row of the results.
pub(in crate::api) fn outcome(row: TaskOutcome) -> mitosis_protocol::sweep::TaskOutcome {
    mitosis_protocol::sweep::TaskOutcome {
        uuid: row.uuid,
        task_id: row.number,
        job: row.place.map(|(job, _)| job.0),
        index: row.place.map(|(_, index)| index),
        exit_code: exit_code(row.state, row.result),
        state: row.state,
        params: row.params,
        result: row.result,
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        repeats_task_uuid: row.repeats,
        // The stored data is a JSON object.
        data: row.data.and_then(|data| RawValue::from_string(data).ok()),
        warnings: row.warnings,
        usage: row.usage,
    }
}

/// Converts an artifact.
pub(in crate::api) fn artifact(artifact: &Artifact) -> ArtifactInfo {
    ArtifactInfo {
        content_type: artifact.kind,
        size: artifact.size,
        created_at: artifact.created_at,
        updated_at: artifact.updated_at,
    }
}
