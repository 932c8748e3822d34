//! `DELETE /tasks/{uuid}/artifacts/{content_type}`: removes one of a task's archives.

use std::time::Duration;

use axum::extract::State;
use mitosis_domain::object::{ObjectKey, Shelf};
use mitosis_domain::permission::Action;
use mitosis_protocol::{ArtifactKind, ErrorCode, Timestamp, Uuid};
use mitosis_store::ops::artifacts::Removal;

use crate::api::body::InPath;
use crate::api::reply::Empty;
use crate::api::user::tasks::find;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

/// How long after an upload was announced its object is left alone; its link may still work.
const LEFT_ALONE: Duration = Duration::from_hours(1);

/// 400 within an hour of the last upload.
pub(super) async fn delete(
    State(app): State<App>,
    Caller(user): Caller,
    InPath((uuid, kind)): InPath<(Uuid, ArtifactKind)>,
) -> Result<Empty, ApiError> {
    find(&app, &user, uuid, Action::ManageFiles).await?;
    remove(&app, uuid, kind, app.now() - LEFT_ALONE).await
}

/// Removes the record, then the object. An object that could not be removed now is overwritten by the
/// next upload of the same name.
pub(in crate::api) async fn remove(
    app: &App,
    task: Uuid,
    kind: ArtifactKind,
    untouched_since: Timestamp,
) -> Result<Empty, ApiError> {
    match app.store.remove_artifact(task, kind, untouched_since).await? {
        Removal::Removed { object } => {
            app.objects.delete(&ObjectKey::from_stored(Shelf::Artifacts, object)).await?;
            Ok(Empty)
        }
        Removal::TooYoung => {
            Err(Refusal::invalid("it was uploaded less than an hour ago; an upload may be under way")
                .hint("try again later, or ask an administrator")
                .into())
        }
        Removal::Unknown => {
            Err(Refusal::new(ErrorCode::NotFound, format!("the task has no `{kind}` artifact")).into())
        }
    }
}
