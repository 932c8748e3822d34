//! `POST /groups/{group}/attachments`: a link to upload an attachment.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_objects::Right;
use mitosis_protocol::attachment::UploadAttachmentRequest;
use mitosis_protocol::storage::UploadReply;
use mitosis_store::ops::Actor;
use mitosis_store::ops::artifacts::UploadRecord;

use super::object;
use crate::api::base_url::BaseUrl;
use crate::api::body::{Body, InPath};
use crate::api::members::require;
use crate::api::objects::uploads::SupportsConditions;
use crate::api::routes::{Access, Routes};
use crate::api::user::artifacts::{Reserved, announced, reserved};
use crate::app::App;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/groups/{group}/attachments",
        Access::Write,
        upload,
        "Get a link to upload an attachment",
    )
}

/// Records the attachment and charges the quota of the group at once.
async fn upload(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    base_url: BaseUrl,
    conditions: SupportsConditions,
    InPath(group): InPath<String>,
    Body(request): Body<UploadAttachmentRequest>,
) -> Result<Json<UploadReply>, ApiError> {
    let key = object(&group, &request.key)?;
    let size = announced(request.content_length)?;
    let id = require(&app, &user, &group, Action::ManageFiles).await?;
    let actor = Actor::User(user.id);
    let length = request.content_length;
    let new = conditions.announce(&app, &key, length)?;
    let reservation =
        app.store.reserve_attachment(actor, id, &request.key, size, Some(new), app.now()).await?;
    let Reserved { record, .. } = reserved(reservation)?;
    let right = Right::Replace { length, nonce: new.nonce };
    let link = conditions.link(&app, &key, record, right, Some(&authentication.encode()))?;
    Ok(Json(UploadReply { exist: record == UploadRecord::Existing, url: base_url.resolve(link) }))
}
