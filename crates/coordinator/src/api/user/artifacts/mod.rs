//! Artifacts, for users.

mod delete;
mod delete_many;
mod download;
mod download_many;
mod upload;

use std::time::Duration;

use mitosis_domain::ids::TaskId;
use mitosis_protocol::{ArtifactKind, ErrorCode, Uuid};
use mitosis_store::ops::artifacts::{Artifact, Reservation, UploadRecord};

use crate::api::routes::Routes;
use crate::app::App;
use crate::error::{ApiError, Rejection, chain};

pub(in crate::api) use delete::remove;
pub(in crate::api) use download::link;

/// How long an upload link is valid.
pub(crate) const UPLOAD_VALID: Duration = Duration::from_hours(1);
/// Time from now until no upload through a new link can arrive any more: a transfer may continue after the link expires.
pub(crate) fn upload_deadline(length: u64) -> Duration {
    let on_the_way = Duration::from_secs(length / 1_000_000);
    UPLOAD_VALID + on_the_way.clamp(Duration::from_mins(10), Duration::from_hours(24))
}

/// How long each link of a batch is valid.
pub(in crate::api) const BATCH_DOWNLOAD_VALID: Duration = Duration::from_hours(24);
/// How long after its reservation an upload can't be deleted, because its link may still be valid.
pub(in crate::api) const DELETION_DELAY: Duration = Duration::from_hours(1);

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(download_many::routes())
        .merge(delete_many::routes())
        .merge(upload::routes())
        .merge(delete::routes())
        .merge(download::routes())
        .tag("artifacts")
}

/// How long a download link is valid: an hour, or longer for large files (HTTP contract §13).
pub(in crate::api) fn download_valid(size: i64) -> Duration {
    let at_a_megabyte_a_second = Duration::from_secs(u64::try_from(size).unwrap_or(0) / 1_000_000);
    at_a_megabyte_a_second.clamp(Duration::from_hours(1), Duration::from_hours(24))
}

/// Converts the announced length.
pub(in crate::api) fn announced(length: u64) -> Result<i64, Rejection> {
    i64::try_from(length).map_err(|_| Rejection::invalid("content_length is too large"))
}

/// The visible artifacts of one kind, in the order of the tasks.
async fn of_each(
    app: &App,
    tasks: &[(TaskId, Uuid)],
    kind: ArtifactKind,
) -> Result<Vec<(Uuid, Artifact)>, ApiError> {
    let ids: Vec<TaskId> = tasks.iter().map(|(task, _)| *task).collect();
    let mut found = app.store.artifacts_of_kind(&ids, kind).await?;
    Ok(tasks.iter().filter_map(|(task, uuid)| Some((*uuid, found.remove(task)?))).collect())
}

/// Whether a deletion within a batch was skipped. The batch continues unless the database is unavailable.
pub(in crate::api) fn passed_over<T>(removal: Result<T, ApiError>) -> Result<bool, ApiError> {
    match removal {
        Ok(_) => Ok(false),
        Err(ApiError::Rejected(_)) => Ok(true),
        Err(ApiError::Objects(error)) => {
            tracing::warn!(cause = chain(&error), "failed to remove an object");
            Ok(true)
        }
        Err(error @ (ApiError::Store(_) | ApiError::Shared(_))) => Err(error),
    }
}

/// The rejection for a task without an artifact of this kind.
fn none_of(kind: ArtifactKind) -> Rejection {
    let how = match kind {
        ArtifactKind::Result => "a task has a result if its command writes files to $MITO_RESULT_DIR",
        ArtifactKind::ExecLog => "a task has an execution log if its command writes files to $MITO_EXEC_DIR",
        ArtifactKind::StdLog => "the output of a task is stored if it was submitted with `--terminal`",
    };
    Rejection::new(ErrorCode::NotFound, format!("the task has no `{kind}` artifact"))
        .hint(format!("{how}; `mito client tasks get` lists the artifacts of an ended task"))
}

/// The rejection of a deletion while an upload may still be running.
pub(in crate::api) fn recently_uploaded() -> Rejection {
    Rejection::invalid("the file was uploaded less than an hour ago; an upload may still be running")
        .hint("try again later, or ask an administrator")
}

/// The rejection of a user who lost the permission during the request.
pub(in crate::api) fn not_permitted() -> Rejection {
    Rejection::forbidden("you no longer have permission to manage files in this group")
        .hint("ask an Admin of the group")
}

/// A reserved upload.
pub(in crate::api) struct Reserved {
    pub(in crate::api) record: UploadRecord,
    /// The path of the object in its bucket.
    pub(in crate::api) object: String,
}

/// Converts the outcome of a reservation.
pub(in crate::api) fn reserved(reservation: Reservation) -> Result<Reserved, Rejection> {
    match reservation {
        Reservation::Reserved { record, object } => Ok(Reserved { record, object }),
        Reservation::OverQuota => Err(Rejection::new(
            ErrorCode::QuotaExceeded,
            "the upload would exceed the storage quota of the group",
        )
        .hint("delete artifacts or attachments, or ask an administrator to raise the quota")),
        Reservation::GroupNotActive => {
            Err(Rejection::invalid("the group is locked or deleted and does not accept uploads")
                .hint("use another group, or ask an administrator"))
        }
        Reservation::Denied => Err(not_permitted()),
        Reservation::HasNoObject { .. } => {
            Err(Rejection::invalid("another upload of this archive began at the same time").hint("try again"))
        }
        Reservation::NoSuchTask => Err(Rejection::new(
            ErrorCode::NotFound,
            "the task does not exist, or you no longer have access to it",
        )),
    }
}
