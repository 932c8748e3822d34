//! `DELETE /admin/tasks/{uuid}/artifacts/{content_type}`: deletes an artifact of any task.

use axum::extract::State;
use mitosis_protocol::audit::actions;
use mitosis_protocol::{ArtifactKind, Uuid};
use mitosis_store::ops::Actor;

use crate::api::body::InPath;
use crate::api::forwarded::Forwarded;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::api::user::artifacts::remove;
use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().delete(
        "/admin/tasks/{uuid}/artifacts/{content_type}",
        Access::Admin,
        delete_artifact,
        "Delete any artifact",
    )
}

/// Deletes an artifact even if it was uploaded recently.
async fn delete_artifact(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    InPath((uuid, kind)): InPath<(Uuid, ArtifactKind)>,
) -> Result<Empty, ApiError> {
    remove(&app, Actor::Administrator(admin.id), uuid, kind, app.now()).await?;
    app.record(&admin.name, actions::ARTIFACT_REMOVED, format!("{uuid} {kind}"), Some(client)).await?;
    Ok(Empty)
}
