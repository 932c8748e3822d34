//! Converts a submission to a task to store. These checks need no database.

use std::time::Duration;

use mitosis_domain::ids::GroupId;
use mitosis_domain::tags::TagSet;
use mitosis_domain::timeout::Timeout;
use mitosis_domain::{limits, spec};
use mitosis_protocol::task::SubmitTaskRequest;
use mitosis_protocol::{ErrorCode, TaskSpec, Uuid};
use mitosis_store::ops::tasks::{IdempotencyKey, NewTask};
use serde::Serialize;

use crate::error::Rejection;

/// Checks a request for a known group.
pub(crate) fn check(request: SubmitTaskRequest, group: GroupId, uuid: Uuid) -> Result<NewTask, Rejection> {
    checked_spec(&request.task_spec)?;
    Ok(NewTask {
        uuid,
        group,
        tags: words(request.tags)?,
        labels: words(request.labels)?,
        timeout: checked_timeout(request.timeout)?,
        priority: request.priority,
        spec: request.task_spec,
    })
}

/// Checks the command of a task.
pub(super) fn checked_spec(task_spec: &TaskSpec) -> Result<(), Rejection> {
    spec::check(task_spec).map_err(|error| {
        Rejection::invalid(error).hint("nothing was changed; upload large inputs as attachments of the group")
    })
}

/// Checks tags or labels.
pub(in crate::api) fn words(words: Vec<String>) -> Result<TagSet, Rejection> {
    TagSet::new(words)
        .map_err(|error| Rejection::invalid(error).hint("tags and labels are short words without spaces"))
}

/// Checks a timeout.
pub(super) fn checked_timeout(timeout: Duration) -> Result<Timeout, Rejection> {
    Timeout::new(timeout)
        .map_err(|error| Rejection::invalid(error).hint("use a duration such as `90s`, `10min` or `2h`"))
}

/// The idempotency key with a digest of the request.
pub(in crate::api::user) fn idempotency(
    key: String,
    request: &impl Serialize,
) -> Result<IdempotencyKey, Rejection> {
    if key.is_empty() || key.len() > limits::MAX_IDEMPOTENCY_KEY_BYTES || key.contains('\0') {
        return Err(Rejection::invalid(format!(
            "an idempotency key must have 1 to {} bytes and no NUL",
            limits::MAX_IDEMPOTENCY_KEY_BYTES
        )));
    }
    let canonical = serde_json::to_vec(request).map_err(Rejection::invalid)?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &canonical);
    let digest = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
    Ok(IdempotencyKey { key, digest, refused: Vec::new() })
}

/// The rejection of a key that was used for a different request.
pub(in crate::api::user) fn key_reused() -> Rejection {
    Rejection::new(ErrorCode::KeyReused, "the idempotency key was used for a different submission")
        .hint("use a new key for a new submission")
}

/// The rejection of a user who has lost the permission since the check, or since the first submission.
pub(in crate::api::user) fn denied() -> Rejection {
    Rejection::forbidden(
        "you no longer have access to a group of this submission or to a task that it refers to",
    )
    .hint("nothing was submitted; `mito client users groups` lists your groups")
}
