//! `DELETE /tasks/{uuid}/artifacts/{content_type}`: deletes an artifact.

use axum::extract::State;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::permission::Action;
use mitosis_protocol::{ArtifactKind, Timestamp, Uuid};
use mitosis_store::ops::Actor;
use mitosis_store::ops::artifacts::Removal;

use super::{DELETION_DELAY, not_permitted, recently_uploaded};
use crate::api::body::InPath;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::find;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().delete(
        "/tasks/{uuid}/artifacts/{content_type}",
        Access::Write,
        delete,
        "Delete an artifact",
    )
}

/// Replies 400 within an hour of the last upload.
async fn delete(
    State(app): State<App>,
    Caller(user): Caller,
    InPath((uuid, kind)): InPath<(Uuid, ArtifactKind)>,
) -> Result<Empty, ApiError> {
    find(&app, &user, uuid, Action::ManageFiles).await?;
    remove(&app, Actor::User(user.id), uuid, kind, app.now() - DELETION_DELAY).await
}

/// Deletes the record, then the object. The object is deleted again later, in case the deletion fails now or a link to it
/// is still valid.
pub(in crate::api) async fn remove(
    app: &App,
    actor: Actor,
    task: Uuid,
    kind: ArtifactKind,
    untouched_since: Timestamp,
) -> Result<Empty, ApiError> {
    match app.store.remove_artifact(actor, task, kind, untouched_since).await? {
        Removal::Removed { object } => {
            if let Some(object) = object {
                app.discard(&ObjectKey::from_stored(ObjectClass::Artifacts, object)).await?;
            }
            Ok(Empty)
        }
        Removal::TooYoung => Err(recently_uploaded().into()),
        Removal::Denied => Err(not_permitted().into()),
        Removal::Unknown => Err(super::none_of(kind).into()),
    }
}
