//! Artifacts, for users.

mod delete;
mod delete_many;
mod download;
mod download_many;
mod upload;

use std::time::Duration;

use mitosis_domain::ids::TaskId;
use mitosis_protocol::{ArtifactKind, ErrorCode, Uuid};
use mitosis_store::ops::artifacts::{Artifact, Reservation};

use crate::api::routes::Routes;
use crate::app::App;
use crate::error::{ApiError, Refusal, chain};

pub(in crate::api) use delete::remove;
pub(in crate::api) use download::link;

/// How long an upload link works.
pub(crate) const UPLOAD_VALID: Duration = Duration::from_hours(1);
/// When nothing can come any more through an upload link that is given out now: bytes may be on their way when it
/// ends.
pub(crate) fn upload_over(length: u64) -> Duration {
    let on_the_way = Duration::from_secs(length / 1_000_000);
    UPLOAD_VALID + on_the_way.clamp(Duration::from_mins(10), Duration::from_hours(24))
}

/// How long each link of a batch works.
pub(in crate::api) const BATCH_DOWNLOAD_VALID: Duration = Duration::from_hours(24);
/// How long after an upload was announced its object is left alone; its link may still work.
pub(in crate::api) const LEFT_ALONE: Duration = Duration::from_hours(1);

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(download_many::routes())
        .merge(delete_many::routes())
        .merge(upload::routes())
        .merge(delete::routes())
        .merge(download::routes())
        .tag("artifacts")
}

/// How long a download link works: an hour, or longer for what takes longer (HTTP contract §13).
pub(in crate::api) fn download_valid(size: i64) -> Duration {
    let at_a_megabyte_a_second = Duration::from_secs(u64::try_from(size).unwrap_or(0) / 1_000_000);
    at_a_megabyte_a_second.clamp(Duration::from_hours(1), Duration::from_hours(24))
}

/// The announced length as it can be stored.
pub(in crate::api) fn announced(length: u64) -> Result<i64, Refusal> {
    i64::try_from(length).map_err(|_| Refusal::invalid("content_length is more than any store can hold"))
}

/// The visible archive of one kind of each task that has one, in the order of the tasks.
async fn of_each(
    app: &App,
    tasks: &[(TaskId, Uuid)],
    kind: ArtifactKind,
) -> Result<Vec<(Uuid, Artifact)>, ApiError> {
    let ids: Vec<TaskId> = tasks.iter().map(|(task, _)| *task).collect();
    let mut found = app.store.artifacts_of_kind(&ids, kind).await?;
    Ok(tasks.iter().filter_map(|(task, uuid)| Some((*uuid, found.remove(task)?))).collect())
}

/// Whether a removal within a batch was passed over. The batch goes on, unless the database is away.
pub(in crate::api) fn passed_over<T>(removal: Result<T, ApiError>) -> Result<bool, ApiError> {
    match removal {
        Ok(_) => Ok(false),
        Err(ApiError::Refused(_)) => Ok(true),
        Err(ApiError::Objects(error)) => {
            tracing::warn!(cause = chain(&error), "failed to remove an object");
            Ok(true)
        }
        Err(error @ (ApiError::Store(_) | ApiError::Shared(_))) => Err(error),
    }
}

/// A task that left nothing of this kind behind.
fn none_of(kind: ArtifactKind) -> Refusal {
    let how = match kind {
        ArtifactKind::Result => "a command has a result if it puts something into $MITO_RESULT_DIR",
        ArtifactKind::ExecLog => "a command has this if it puts something into $MITO_EXEC_DIR",
        ArtifactKind::StdLog => "what a command writes is kept if it was submitted with `--terminal`",
    };
    Refusal::new(ErrorCode::NotFound, format!("the task has no `{kind}` artifact"))
        .hint(format!("{how}; `mito client tasks get` lists what there is, once the task has ended"))
}

/// Why something can't be deleted yet.
pub(in crate::api) fn too_young() -> Refusal {
    Refusal::invalid("it was uploaded less than an hour ago; an upload may be under way")
        .hint("try again later, or ask an administrator")
}

/// The right to the group's files ended while the request was under way.
pub(in crate::api) fn not_permitted() -> Refusal {
    Refusal::forbidden("you may not manage files in this group any more").hint("ask an Admin of the group")
}

/// An upload that was announced.
pub(in crate::api) struct Reserved {
    /// Whether something was registered under the name.
    pub(in crate::api) exist: bool,
    /// Path of the object on its shelf.
    pub(in crate::api) object: String,
    /// Whether the link of a user may go straight to the storage.
    pub(in crate::api) creates: bool,
}

/// Where the bytes may be sent, if they may.
pub(in crate::api) fn reserved(reservation: Reservation) -> Result<Reserved, Refusal> {
    match reservation {
        Reservation::Reserved { exist, object, creates } => Ok(Reserved { exist, object, creates }),
        Reservation::OverQuota => {
            Err(Refusal::new(ErrorCode::QuotaExceeded, "the group would store more than it may")
                .hint("delete something, or ask an administrator to raise the group's storage quota"))
        }
        Reservation::GroupNotActive => {
            Err(Refusal::invalid("the group is locked or deleted; it takes no uploads")
                .hint("use another group, or ask an administrator"))
        }
        Reservation::Denied => Err(not_permitted()),
        Reservation::NoSuchTask => {
            Err(Refusal::new(ErrorCode::NotFound, "there is no such task, or it is not yours any more"))
        }
    }
}
