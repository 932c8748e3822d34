//! From a request to a task that can be stored: every check that needs no database.

use std::time::Duration;

use mitosis_domain::ids::GroupId;
use mitosis_domain::spec;
use mitosis_domain::tags::Words;
use mitosis_protocol::Uuid;
use mitosis_protocol::task::SubmitTaskRequest;
use mitosis_store::ops::tasks::NewTask;

use crate::error::Refusal;

/// Checks a request whose group is known.
pub(in crate::api) fn check(
    request: SubmitTaskRequest,
    group: GroupId,
    uuid: Uuid,
) -> Result<NewTask, Refusal> {
    spec::check(&request.task_spec).map_err(Refusal::invalid)?;
    Ok(NewTask {
        uuid,
        group,
        tags: words(request.tags)?,
        labels: words(request.labels)?,
        timeout_seconds: timeout_seconds(request.timeout)?,
        priority: request.priority,
        spec: request.task_spec,
    })
}

/// Tags or labels as they can be stored.
pub(in crate::api) fn words(words: Vec<String>) -> Result<Words, Refusal> {
    Words::new(words).map_err(Refusal::invalid)
}

/// A timeout as it can be stored: whole seconds.
pub(super) fn timeout_seconds(timeout: Duration) -> Result<i64, Refusal> {
    spec::check_timeout(timeout).map_err(Refusal::invalid)?;
    i64::try_from(timeout.as_secs()).map_err(Refusal::invalid)
}
