//! `POST /tasks/{uuid}/artifacts`: a link to upload an artifact.

use axum::Json;
use axum::extract::State;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::permission::Action;
use mitosis_objects::Right;
use mitosis_protocol::Uuid;
use mitosis_protocol::artifact::UploadArtifactRequest;
use mitosis_protocol::storage::UploadReply;
use mitosis_store::ops::Actor;
use mitosis_store::ops::artifacts::{Reservation, UploadRecord};

use super::{Reserved, announced, reserved};
use crate::api::base_url::BaseUrl;
use crate::api::body::{Body, InPath};
use crate::api::objects::stored;
use crate::api::objects::uploads::SupportsConditions;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::find;
use crate::app::App;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().post("/tasks/{uuid}/artifacts", Access::Write, upload, "Get a link to upload an artifact")
}

/// Charges the quota of the group at once. The task may be in any state.
async fn upload(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    base_url: BaseUrl,
    conditions: SupportsConditions,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<UploadArtifactRequest>,
) -> Result<Json<UploadReply>, ApiError> {
    find(&app, &user, uuid, Action::ManageFiles).await?;
    let size = announced(request.content_length)?;
    let actor = Actor::User(user.id);
    let (length, kind) = (request.content_length, request.content_type);
    let new = conditions.announce(&app, &ObjectKey::artifact(uuid, kind), length)?;
    let reserve = async || app.store.reserve_artifact(actor, uuid, kind, size, Some(new), app.now()).await;
    let mut reservation = reserve().await?;
    if let Reservation::HasNoObject { object } = reservation {
        let key = ObjectKey::from_stored(ObjectClass::Artifacts, object);
        stored::move_to_object_store(&app, &key).await?;
        reservation = reserve().await?;
    }
    let Reserved { record, object } = reserved(reservation)?;
    let key = ObjectKey::from_stored(ObjectClass::Artifacts, object);
    let right = Right::Replace { length, nonce: new.nonce };
    let link = conditions.link(&app, &key, record, right, Some(&authentication.encode()))?;
    Ok(Json(UploadReply { exist: record == UploadRecord::Existing, url: base_url.resolve(link) }))
}
