//! `DELETE /tasks/{uuid}/artifacts/{content_type}`: removes one of a task's archives.

use axum::extract::State;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::permission::Action;
use mitosis_protocol::{ArtifactKind, Timestamp, Uuid};
use mitosis_store::ops::By;
use mitosis_store::ops::artifacts::Removal;

use super::{LEFT_ALONE, not_permitted, too_young};
use crate::api::body::InPath;
use crate::api::reply::Empty;
use crate::api::routes::{Asks, Routes};
use crate::api::user::tasks::find;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().delete("/tasks/{uuid}/artifacts/{content_type}", Asks::Change, delete, "Remove an archive")
}

/// 400 within an hour of the last upload.
async fn delete(
    State(app): State<App>,
    Caller(user): Caller,
    InPath((uuid, kind)): InPath<(Uuid, ArtifactKind)>,
) -> Result<Empty, ApiError> {
    find(&app, &user, uuid, Action::ManageFiles).await?;
    remove(&app, By::User(user.id), uuid, kind, app.now() - LEFT_ALONE).await
}

/// Removes the record, then the object. It is looked at again later: it may not go now, and a link to it may
/// still work.
pub(in crate::api) async fn remove(
    app: &App,
    by: By,
    task: Uuid,
    kind: ArtifactKind,
    untouched_since: Timestamp,
) -> Result<Empty, ApiError> {
    match app.store.remove_artifact(by, task, kind, untouched_since).await? {
        Removal::Removed { object } => {
            app.discard(&ObjectKey::from_stored(ObjectClass::Artifacts, object)).await?;
            Ok(Empty)
        }
        Removal::TooYoung => Err(too_young().into()),
        Removal::Denied => Err(not_permitted().into()),
        Removal::Unknown => Err(super::none_of(kind).into()),
    }
}
