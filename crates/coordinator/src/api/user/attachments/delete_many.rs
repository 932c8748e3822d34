//! `POST /groups/{group}/delete/attachments` and `…/list`: deletes many attachments.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::attachment::{
    AttachmentsByFilterRequest, AttachmentsByListRequest, DeletedAttachmentsListReply,
    DeletedAttachmentsReply,
};
use mitosis_store::ops::Actor;

use super::listed;
use super::query::page;
use super::removal::remove;
use crate::api::body::{Body, InPath};
use crate::api::members::require_for_filter;
use crate::api::routes::{Access, Routes};
use crate::api::user::artifacts::{DELETION_DELAY, passed_over};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/groups/{group}/delete/attachments",
            Access::Write,
            by_filter,
            "Delete attachments by a part of the key",
        )
        .post("/groups/{group}/delete/attachments/list", Access::Write, by_list, "Delete listed attachments")
}

/// Deletes attachments whose key contains a text, except those that were uploaded within the last hour.
async fn by_filter(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group_name): InPath<String>,
    Body(request): Body<AttachmentsByFilterRequest>,
) -> Result<Json<DeletedAttachmentsReply>, ApiError> {
    let AttachmentsByFilterRequest { key, limit, offset } = request;
    let (group, found) = page(&app, &user, &group_name, key, offset, limit, Action::ManageFiles).await?;
    let untouched_since = app.now() - DELETION_DELAY;
    let mut deleted_count = 0;
    for attachment in found {
        if !passed_over(remove(&app, Actor::User(user.id), group, &attachment.key, untouched_since).await)? {
            deleted_count += 1;
        }
    }
    Ok(Json(DeletedAttachmentsReply { deleted_count, group_name }))
}

/// Deletes listed attachments. The reply lists those that could not be deleted.
async fn by_list(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group_name): InPath<String>,
    Body(request): Body<AttachmentsByListRequest>,
) -> Result<Json<DeletedAttachmentsListReply>, ApiError> {
    let group = require_for_filter(&app, &user, &group_name, Action::ManageFiles).await?;
    let untouched_since = app.now() - DELETION_DELAY;
    let mut reply = DeletedAttachmentsListReply { deleted_count: 0, failed_keys: Vec::new(), group_name };
    for key in listed(request.keys)? {
        match passed_over(remove(&app, Actor::User(user.id), group, &key, untouched_since).await)? {
            true => reply.failed_keys.push(key),
            false => reply.deleted_count += 1,
        }
    }
    Ok(Json(reply))
}
