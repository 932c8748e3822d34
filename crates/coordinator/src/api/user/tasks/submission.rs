//! From a request to a task that can be stored: every check that needs no database.

use std::time::Duration;

use mitosis_domain::ids::GroupId;
use mitosis_domain::tags::TagSet;
use mitosis_domain::{limits, spec};
use mitosis_protocol::task::SubmitTaskRequest;
use mitosis_protocol::{ErrorCode, TaskSpec, Uuid};
use mitosis_store::ops::tasks::{IdempotencyKey, NewTask};
use serde::Serialize;

use crate::error::Refusal;

/// Checks a request whose group is known.
pub(in crate::api) fn check(
    request: SubmitTaskRequest,
    group: GroupId,
    uuid: Uuid,
) -> Result<NewTask, Refusal> {
    checked_spec(&request.task_spec)?;
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

/// A command that can be run.
pub(super) fn checked_spec(task_spec: &TaskSpec) -> Result<(), Refusal> {
    spec::check(task_spec).map_err(|error| {
        Refusal::invalid(error)
            .hint("nothing was submitted or changed; large inputs can be attachments of the group")
    })
}

/// Tags or labels as they can be stored.
pub(in crate::api) fn words(words: Vec<String>) -> Result<TagSet, Refusal> {
    TagSet::new(words).map_err(|error| {
        Refusal::invalid(error)
            .hint("tags and labels are short words, separated by commas or given one by one")
    })
}

/// A timeout as it can be stored: whole seconds.
pub(super) fn timeout_seconds(timeout: Duration) -> Result<i64, Refusal> {
    spec::check_timeout(timeout)
        .map_err(|error| Refusal::invalid(error).hint("write it like `90s`, `10min` or `2h`"))?;
    i64::try_from(timeout.as_secs()).map_err(Refusal::invalid)
}

/// The key with a digest of everything it stands for.
pub(super) fn idempotency(key: String, request: &impl Serialize) -> Result<IdempotencyKey, Refusal> {
    if key.is_empty() || key.len() > limits::MAX_IDEMPOTENCY_KEY_BYTES || key.contains('\0') {
        return Err(Refusal::invalid(format!(
            "an idempotency key has 1 to {} bytes and no NUL",
            limits::MAX_IDEMPOTENCY_KEY_BYTES
        )));
    }
    let canonical = serde_json::to_vec(request).map_err(Refusal::invalid)?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &canonical);
    let digest = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
    Ok(IdempotencyKey { key, digest, refused: Vec::new() })
}

/// The same key for something else.
pub(super) fn key_reused() -> Refusal {
    Refusal::new(ErrorCode::KeyReused, "the idempotency key was used for another submission")
        .hint("use a new key for a new submission")
}

/// What was allowed a moment ago, or when the same was submitted first.
pub(super) fn denied() -> Refusal {
    Refusal::forbidden("a group of this submission, or a task that it names, is not yours any more")
        .hint("`mito client users groups` lists your groups; nothing was submitted")
}
